# ruff: noqa: T201 - it is a command
"""`python -m otel_llm_cost.demo.provider [PORT]`: a provider to try an app against; Ctrl-C shows the bill."""

from __future__ import annotations

import sys
import threading

from .server import Provider


def main() -> None:
    """Serve until Ctrl-C."""
    with Provider(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as provider:
        print(f"export OPENAI_BASE_URL={provider.openai_url} ANTHROPIC_BASE_URL={provider.anthropic_url}")
        print("export OPENAI_API_KEY=any ANTHROPIC_API_KEY=any", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            for line in provider.bill:
                print(f"{line.model:<28} {line.response_id or line.request_id:<56} {line.usd} USD")
            print(f"total {provider.bill.usd} USD")


if __name__ == "__main__":
    main()
