"""Settings: who beats whom, and errors that point at the line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm_cost.config import Settings, load, redact, settings_table, unknown_variables, variable
from otel_llm_cost.core.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "otel-llm-cost.yaml"


def test_a_flag_beats_the_environment_which_beats_the_file(file: Path) -> None:
    file.write_text("grpc_port: 1\nhttp_port: 1\nui_port: 1\n")
    environ = {"OTEL_LLM_COST_HTTP_PORT": "2", "OTEL_LLM_COST_UI_PORT": "2", "OTEL_LLM_COST_GRPC_PORT": ""}
    settings = load(file, environ, {"ui_port": 3, "grpc_port": None})
    assert (settings.grpc_port, settings.http_port, settings.ui_port) == (1, 2, 3)


def test_a_file_is_read_only_when_it_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("grpc_port: 1\n")
    monkeypatch.chdir(file.parent)
    assert load(environ={}).grpc_port == 4317
    assert load(environ={"OTEL_LLM_COST_CONFIG": str(file)}).grpc_port == 1


def test_an_empty_file_means_the_defaults(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert load(file, {}) == load(environ={})


def test_pairs_are_a_mapping_in_the_file_and_text_in_the_environment(file: Path) -> None:
    file.write_text("tags: {team: search}\n")
    assert load(file, {}).tags == {"team": "search"}
    assert load(file, {"OTEL_LLM_COST_TAGS": "team=ads, feature=rank"}).tags == {
        "team": "ads",
        "feature": "rank",
    }


def test_home_in_a_store_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load(environ={}).store == "chdb:///home/ada/.local/share/otel-llm-cost/ledger"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "host: 127.0.0.1\ngrpc_port: many\n",
            ":2: grpc_port: expected a whole number",
        ),
        ("\nui_port: 70000\n", ":2: ui_port: expected less than or equal to 65535"),
        ("spool_sync: sometimes\n", ":1: spool_sync: expected 'full' or 'normal'"),
        ("tags: {team: [a]}\n", ":1: tags.team: expected a valid string"),
        ("host: a\ngrpc_prt: 1\n", ":2: unknown key grpc_prt; did you mean grpc_port?"),
        ("zebra: 1\n", ":1: unknown key zebra; the settings are listed in docs/settings.md"),
        ("host: a\nhost: b\n", ":2: host is already set on line 1"),
        ("host: [a\n", ":2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("- a\n", ":1: expected settings as `key: value`, got something else"),
        ("host: !!python/name:os.system\n", ":1: not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_key_and_what_was_expected(
    file: Path, text: str, sentence: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        load(file, {})
    assert f"{file}{sentence}" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"otel-llm-cost\.yaml: cannot be read \(No such file"):
        load(file, {})


def test_a_wrong_variable_and_a_wrong_flag_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^OTEL_LLM_COST_UI_PORT: expected a whole number"):
        load(environ={"OTEL_LLM_COST_UI_PORT": "x"})
    with pytest.raises(ConfigError, match=r"^--batch-rows: expected greater than or equal to 1"):
        load(environ={}, overrides={"batch_rows": 0})


def test_secrets_are_never_printed(file: Path) -> None:
    file.write_text("store: {url: hunter2}\n")
    with pytest.raises(ConfigError) as refusal:
        load(file, {})
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in repr(load(environ={"OTEL_LLM_COST_STORE": "clickhouse://u:hunter2@h/d"}))
    assert redact("clickhouse://u:hunter2@h:8123/d") == "clickhouse://u:***@h:8123/d"
    assert redact("chdb:///a/b@c") == "chdb:///a/b@c"


def test_a_misspelt_variable_is_found_with_the_nearest_name() -> None:
    environ = {"OTEL_LLM_COST_UI_PROT": "1", "OTEL_LLM_COST_UI_PORT": "1", "OTEL_LLM_COST_CONFIG": "x"}
    assert unknown_variables(environ) == [("OTEL_LLM_COST_UI_PROT", "OTEL_LLM_COST_UI_PORT")]


def test_every_setting_says_what_it_means_and_the_printed_table_is_current() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert len({variable(name) for name in Settings.model_fields}) == len(Settings.model_fields)
    assert (ROOT / "docs/settings.md").read_text() == settings_table(), "run: make golden"


def test_importing_the_package_does_not_load_the_settings() -> None:
    code = "import sys, otel_llm_cost; sys.exit('otel_llm_cost.config' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
