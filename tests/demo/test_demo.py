"""`otel-llm-cost demo` from its front door: the whole product on real SDKs, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from otel_llm_cost.demo import example

COMMAND = [sys.executable, "-m", "otel_llm_cost.cli", "demo"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The demo's temporary files go here, so that the environment of all its processes names this folder."""
    yield tmp_path
    left = _processes(tmp_path)
    for process in left:
        os.kill(int(process.partition(":")[0]), signal.SIGKILL)
    assert left == []


def _processes(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        # The collector's is a folder below.
        ours = any(setting.startswith(f"TMPDIR={folder}".encode()) for setting in environment)
        if ours and command:
            found.append(f"{process.name}: {command}")
    return found


def _environment(home: Path) -> dict[str, str]:
    # Settings of the user must make no other demo of it.
    return os.environ | {"TMPDIR": str(home), "OTEL_TRACES_EXPORTER": "none", "OPENAI_BASE_URL": "http://x"}


def _run(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], env=_environment(home), capture_output=True, text=True, timeout=90
    )


def test_the_ledger_equals_the_bill_and_what_cannot_be_exact_is_set_apart(home: Path) -> None:
    started = time.monotonic()
    done = _run(home, "--json")
    assert (done.returncode, done.stdout[:1]) == (0, "{"), done.stderr
    assert time.monotonic() - started < 60
    assert list(home.iterdir()) == []
    found = json.loads(done.stdout)
    check, rows, total = found["check"], found["report"]["rows"], found["report"]["total"]
    assert (check["ok"], check["differences"]) == (True, [])
    assert check["priced_calls"] == 29
    assert check["ledger_usd"] == check["bill_usd"]
    (cut_off,) = check["cut_off"]
    (unpriced,) = check["unpriced"]
    assert Decimal(cut_off["gap_usd"]) == Decimal(cut_off["bill_usd"]) - Decimal(cut_off["ledger_usd"])
    assert (unpriced["ledger_usd"], unpriced["gap_usd"]) == (None, unpriced["bill_usd"])
    assert (total["calls"], total["failed_attempts"]) == (31, 1)
    assert (total["estimated_calls"], total["unpriced_calls"], total["is_lower_bound"]) == (1, 1, True)
    assert Decimal(total["effective_cost"]) == Decimal(check["ledger_usd"]) + Decimal(cut_off["ledger_usd"])
    assert {(row["team"], row["feature"]): row["calls"] for row in rows} == {
        ("support", "triage"): 5,
        ("support", "answers"): 7,
        ("search", "index"): 1,
        ("search", "rank"): 12,
        ("search", "answers"): 2,
        ("growth", "newsletter"): 2,
        ("growth", "experiments"): 1,
        (None, None): 1,
    }


def test_a_falsified_price_is_found_out(home: Path, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(
        "prices: [{provider: openai, models: [gpt-4o-2024-08-06], output_mtok: '10.000001'}]\n"
    )
    config = tmp_path / "config.yaml"
    config.write_text(f"price_overrides: {tmp_path / 'prices.yaml'}\n")
    done = _run(home, "--config", str(config))
    assert done.returncode == 1
    assert "The ledger and the bill DIFFER:\n  gpt-4o-2024-08-06 (chatcmpl-" in done.stdout
    assert "Traceback" not in done.stderr
    assert not list(home.glob("otel-llm-cost-demo-*"))


def test_a_kept_collector_answers_and_ends_as_it_says(home: Path) -> None:
    done = _run(home, "--keep")
    assert done.returncode == 0, done.stderr
    how = done.stderr[done.stderr.index("The collector is still up") :]
    ask = re.search(r"ask it +otel-llm-cost (report --store chdb://.*)", how)
    stop = re.search(r"stop it +kill (\d+)", how)
    assert ask is not None
    assert stop is not None
    asked = subprocess.run(
        [*COMMAND[:-1], *ask[1].split(), "--json"], capture_output=True, text=True, timeout=60
    )
    assert json.loads(asked.stdout)["total"]["calls"] == 31, asked.stderr
    assert [process.partition(":")[0] for process in _processes(home)] == [stop[1]]
    os.kill(int(stop[1]), signal.SIGTERM)
    _until(lambda: not _processes(home), 20)
    (folder,) = home.iterdir()
    assert f"Its ledger stays in {folder} until you remove it." in how


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["starting", "running"])
def test_an_interrupted_demo_leaves_nothing_behind(home: Path, number: signal.Signals, step: str) -> None:
    with subprocess.Popen(
        COMMAND,
        env=_environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has its background jobs ignore Ctrl-C, and these tests may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as demo:
        assert demo.stderr is not None
        said = [demo.stderr.readline()]
        while said[-1] and step not in said[-1]:
            said.append(demo.stderr.readline())
        time.sleep(0.5)
        demo.send_signal(number)
        out, rest = demo.communicate(timeout=30)
    assert demo.returncode == (1 if number == signal.SIGINT else 128 + number), [*said, rest]
    assert (out, "Traceback" in rest) == ("", False), rest
    assert list(home.iterdir()) == []


def test_a_collector_that_does_not_start_is_said_in_its_own_words(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("batch_rows: many\n")
    done = _run(home, "--config", str(config))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("otel-llm-cost: the collector did not start: ")
    assert "batch_rows" in last
    assert "config.yaml" in last


def test_an_app_that_fails_is_said_in_its_own_words(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path_factory.mktemp("broken")
    (broken / "openai.py").write_text("raise ImportError('this openai is broken')\n")
    done = subprocess.run(
        COMMAND,
        env=_environment(home) | {"PYTHONPATH": f"{broken}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last == "otel-llm-cost: the app failed (exit code 1): ImportError: this openai is broken"
    assert list(home.iterdir()) == []


def test_a_missing_sdk_says_what_to_install(home: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'anthropic' else found(name, *rest)\n"
        "from otel_llm_cost.cli import main\n"
        "main(['demo'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert (
        done.stderr == "otel-llm-cost: anthropic is not installed; run: pip install 'otel-llm-cost[demo]'\n"
    )


def test_the_example_is_found_in_a_checkout_and_in_a_wheel(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    assert example.locate() == root / "examples/support_app/app.py"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-c", "from otel_llm_cost.demo import example; print(example.locate())"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(tmp_path / "installed/otel_llm_cost/demo/support_app/app.py")


def test_the_app_has_no_line_of_ours_but_tags() -> None:
    sources = sorted(example.locate().parent.glob("*.py"))
    assert len(sources) == 4
    for source in sources:
        ours = [line for line in source.read_text().splitlines() if "otel_llm_cost" in line]
        assert ours in ([], ["from otel_llm_cost import tags"])
        assert "opentelemetry" not in source.read_text().replace("opentelemetry-instrument", "")


def _until(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
