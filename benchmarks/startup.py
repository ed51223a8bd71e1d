"""Added CPU of a start: under `opentelemetry-instrument`, by importing the package, with an SDK.

Two environments are built of links to the installed packages: one has us, one has not, nothing else differs.
A run is a whole process; runs of the two alternate, and CPU (user and system) is read from the kernel.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

import otel_llm_cost

ROUNDS = 15
OURS = ("otel_llm_cost", "_otel_llm_cost", "__editable__")
COMMAND = """\
import sys
from opentelemetry.instrumentation.auto_instrumentation import run
sys.exit(run())
"""
INSTRUMENT = ("{python}", "{bin}/opentelemetry-instrument", "{python}", "-c")

MEASURED: tuple[tuple[str, tuple[str, ...], str, str, float | None], ...] = (
    ("start of an app without an LLM SDK", INSTRUMENT, "pass", "pass", 50.0),
    ("start of an app with openai", INSTRUMENT, "import openai", "import openai", None),
    (
        "import otel_llm_cost",
        ("{python}", "-c"),
        "import opentelemetry.trace",
        "import opentelemetry.trace, otel_llm_cost",
        30.0,
    ),
    (
        "otel_llm_cost.tags, first use",
        ("{python}", "-c"),
        "import opentelemetry.trace",
        "import opentelemetry.trace; from otel_llm_cost import tags; tags(team='search')",
        None,
    ),
)
"""(what, command, code without us, code with us, limit in ms)."""


def run() -> list[tuple[str, str, str]]:
    """Rows of: what, measured, limit."""
    with tempfile.TemporaryDirectory() as folder:
        bare, ours = environment(Path(folder) / "bare", False), environment(Path(folder) / "ours", True)
        return [
            (what, measure(command, bare, before, ours, after), f"≤ {limit:.0f} ms" if limit else "")
            for what, command, before, after, limit in MEASURED
        ]


def environment(folder: Path, with_us: bool) -> Path:
    """A virtual environment of links to what is installed here."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(OURS):
            packages.joinpath(installed.name).symlink_to(installed)
    if with_us:
        packages.joinpath("otel_llm_cost").symlink_to(Path(otel_llm_cost.__file__).parent)
        for installed in Path(sysconfig.get_path("purelib")).glob("otel_llm_cost-*.dist-info"):
            packages.joinpath(installed.name).symlink_to(installed)
    (folder / "bin" / "opentelemetry-instrument").write_text(COMMAND)
    return folder


def measure(command: tuple[str, ...], bare: Path, before: str, ours: Path, after: str) -> str:
    """The median added CPU of a start and its middle half."""
    for _ in range(2):  # byte code and page cache
        cpu_ms(command, bare, before)
        cpu_ms(command, ours, after)
    pairs = [(cpu_ms(command, bare, before), cpu_ms(command, ours, after)) for _ in range(ROUNDS)]
    low, middle, high = statistics.quantiles((with_us - without for without, with_us in pairs), n=4)
    base = statistics.median(without for without, _ in pairs)
    return f"{middle:.0f} ms ({low:.0f}…{high:.0f}) on {base:.0f}"


def cpu_ms(command: tuple[str, ...], folder: Path, code: str) -> float:
    """CPU of one whole process."""
    places = {"python": str(folder / "bin" / "python"), "bin": str(folder / "bin")}
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    # Without us the distro's own default, gRPC, would be loaded; the difference is to be ours alone.
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    process = subprocess.Popen(
        [*(part.format(**places) for part in command), code],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode or b"Traceback" in complaint:
        sys.exit(complaint.decode())
    return (usage.ru_utime + usage.ru_stime) * 1000
