"""One busy minute at a support product: run with `opentelemetry-instrument python app.py`."""

from __future__ import annotations

import asyncio

import growth
import search
import tickets


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
