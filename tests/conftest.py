"""What every test shares."""

from __future__ import annotations

import os

pytest_plugins = ["provider"]
"""The `provider` fixture: a local OpenAI and Anthropic, see tests/provider.py."""

# A developer's own settings must not change a test's outcome.
for _name in [name for name in os.environ if name.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_"))]:
    del os.environ[_name]

# Under our own suite a fault of ours is a failing test, not a log line (design D3).
os.environ["OTEL_LLM_COST_RAISE"] = "1"
