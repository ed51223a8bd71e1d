"""The README shows what the demo prints, not what someone once typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_demos_own_output() -> None:
    shown = re.search(r"<!-- demo:start -->\n```\n(.*?)```\n<!-- demo:end -->", README.read_text(), re.DOTALL)
    assert shown is not None
    done = subprocess.run(
        [sys.executable, "-m", "otel_llm_cost.cli", "demo"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown[1]
