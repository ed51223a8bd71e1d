"""`make bench`: every benchmark there is, as one table. Not tests: a busy machine is not a failure."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys

NAMES = ("startup", "call", "stream", "price", "budget", "collector", "reprice")


def main() -> None:
    """Run the benchmarks named on the command line, or all of them."""
    print(f"Python {platform.python_version()}, {platform.machine()}, CPU time unless said otherwise\n")
    for name in sys.argv[1:] or NAMES:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            continue
        for what, measured, limit in importlib.import_module(f"benchmarks.{name}").run():
            print(f"{what:48} {measured:32} {limit}", flush=True)


if __name__ == "__main__":
    main()
