"""One busy minute at the support product: run with `opentelemetry-instrument python -m support_app`."""

from __future__ import annotations

import asyncio

from . import growth, search, tickets


def main() -> None:
    """Every team does its work once."""
    tickets.sort_inbox()
    tickets.answer_all()
    asyncio.run(search.find_articles())
    growth.write_newsletter()
    growth.try_tomorrows_model()
    growth.ping()


if __name__ == "__main__":
    main()
