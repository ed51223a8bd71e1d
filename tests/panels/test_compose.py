"""docker-compose.yml and what it mounts: nothing pulled, everything else that can be held is held."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from otel_llm_cost import cli
from otel_llm_cost.config import Settings, load
from otel_llm_cost.sinks.dsn import Server, parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
every_service = pytest.mark.parametrize("name", SERVICES)

_DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
_TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_NAME = {"type": "string", "pattern": r"^[a-z0-9][a-z0-9_-]*$"}
SCHEMA = {
    # The part of the Compose specification that this file uses, and no more: a key that is new here has to be
    # looked up and added (https://github.com/compose-spec/compose-spec, schema read 2026-11-24).
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "services", "volumes"],
    "properties": {
        "name": _NAME,
        "volumes": {"type": "object", "propertyNames": _NAME, "additionalProperties": {"type": "null"}},
        "services": {
            "type": "object",
            "propertyNames": _NAME,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["image", "healthcheck"],
                "properties": {
                    "image": {"type": "string"},
                    "build": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
                    },
                    "entrypoint": _TEXTS,
                    "command": _TEXTS,
                    "profiles": _TEXTS,
                    "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                    "environment": {
                        "type": "object",
                        "propertyNames": {"pattern": r"^[A-Z][A-Z0-9_]*$"},
                        "additionalProperties": {"type": "string"},
                    },
                    "volumes": {**_TEXTS, "items": {"type": "string", "pattern": r"^[^:]+:/[^:]+(:ro)?$"}},
                    "ports": {**_TEXTS, "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "depends_on": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "condition": {
                                    "enum": ["service_healthy", "service_completed_successfully"],
                                }
                            },
                        },
                    },
                    "ulimits": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": {"type": "integer"},
                        },
                    },
                    "stop_grace_period": _DURATION,
                    "healthcheck": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["test", "interval", "timeout", "retries", "start_period"],
                        "properties": {
                            "test": _TEXTS,
                            "interval": _DURATION,
                            "timeout": _DURATION,
                            "retries": {"type": "integer", "minimum": 1},
                            "start_period": _DURATION,
                        },
                    },
                },
            },
        },
    },
}


def ours() -> dict[str, Any]:
    return {name: each for name, each in SERVICES.items() if each.get("entrypoint") == ["otel-llm-cost"]}


def filled(text: str) -> str:
    """The text as Compose would fill it in, every variable being `secret`."""
    return re.sub(r"\$\{\w+:\?[^}]*\}", "secret", text)


def test_the_file_has_the_shape_of_a_compose_file() -> None:
    jsonschema.validate(COMPOSE, SCHEMA)


def test_it_says_that_it_was_not_run() -> None:
    assert "Images not pulled here: generated, syntax-checked, not run." in TEXT


@every_service
def test_images_are_pinned_to_one_version(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+\.\d+[\w.-]*", SERVICES[name]["image"])


@every_service
def test_what_is_mounted_exists_and_volumes_are_declared(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@every_service
def test_what_it_waits_for_is_a_service(name: str) -> None:
    assert SERVICES[name].get("depends_on", {}).keys() <= SERVICES.keys()


def test_no_two_services_want_the_same_port() -> None:
    ports = [port.rsplit(":", 1)[0] for each in SERVICES.values() for port in each.get("ports", ())]
    assert len(set(ports)) == len(ports)


def test_every_password_comes_from_the_environment_and_has_no_default() -> None:
    for each in SERVICES.values():
        for name, value in each.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name} is not required from .env"
    assert "password=" not in TEXT.lower()


def test_the_example_names_exactly_the_variables_that_are_needed_and_no_value() -> None:
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Z_]+=", line) for line in lines)
    assert {line[:-1] for line in lines} == set(re.findall(r"\$\{(\w+)", TEXT))


@pytest.mark.parametrize("name", ours())
def test_a_command_of_ours_is_one_that_the_command_line_understands(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    found = cli.otel_llm_cost.get_command(click.Context(cli.otel_llm_cost), command)
    assert found is not None
    context = found.make_context(command, [filled(each) for each in arguments], resilient_parsing=False)
    assert context.args == []


@pytest.mark.parametrize("name", ours())
def test_settings_of_ours_are_settings_that_exist(name: str) -> None:
    environment = {key: filled(value) for key, value in SERVICES[name]["environment"].items()}
    settings = load(environ=environment)
    known = {f"OTEL_LLM_COST_{field.upper()}" for field in Settings.model_fields}
    assert {key for key in environment if key.startswith("OTEL_LLM_COST_")} <= known
    location = parse(settings.store)
    assert isinstance(location, Server)
    database = SERVICES["clickhouse"]["environment"]
    assert (location.host, location.port) == ("clickhouse", 8123)
    assert (location.user, location.database) == (database["CLICKHOUSE_USER"], database["CLICKHOUSE_DB"])


def test_grafana_reads_the_ledger_that_the_collector_writes_as_a_user_that_cannot_write() -> None:
    (source,) = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/ledger.yaml").read_text())[
        "datasources"
    ]
    user = ET.parse(ROOT / "dashboards/clickhouse/grafana-user.xml").getroot()
    database = SERVICES["clickhouse"]["environment"]["CLICKHOUSE_DB"]
    assert source["jsonData"]["defaultDatabase"] == database
    assert user.find(f"users/{source['jsonData']['username']}") is not None
    assert user.findtext("profiles/grafana/readonly") == "2"
    assert user.findtext("users/grafana/grants/query") == f"GRANT SELECT ON {database}.*"
    variable = user.find("users/grafana/password").attrib["from_env"]  # type: ignore[union-attr]
    assert source["secureJsonData"]["password"] == f"${{{variable}}}"
    for name in ("clickhouse", "grafana"):
        assert variable in SERVICES[name]["environment"]


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    (provider,) = yaml.safe_load((ROOT / "dashboards/provisioning/dashboards/llm-cost.yaml").read_text())[
        "providers"
    ]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert provider["options"]["path"] == mounts["./dashboards/generated"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / home.replace(provider["options"]["path"], "dashboards/generated")).exists()
