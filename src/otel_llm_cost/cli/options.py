"""Options that several commands share: which store, which time, which form of output."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_STEPS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIME_FORMS = "30d (also m, h, w), 2026-11-01, or 2026-11-01T12:00:00Z; without a zone it is UTC"

TEXT, JSON = "text", "json"


def store_option(command: Command) -> Command:
    """`--store DSN`; the command gets None or the text, for `store_of`."""
    return click.option(
        "--store", metavar="DSN", help="The ledger; else OTEL_LLM_COST_STORE, else the default."
    )(command)


def store_of(given: str | None) -> str:
    """The DSN to use: the flag, the environment, the default. Raises ConfigError."""
    from otel_llm_cost import config  # pydantic: only once a command runs

    return config.load(overrides={"store": given}).store


def read_moment(_ctx: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """An instant, aware, in UTC: so long ago, a day's start, or ISO 8601. Raises click.BadParameter."""
    if text is None:
        return None
    try:
        if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text.strip()):
            return datetime.now(timezone.utc) - timedelta(**{_STEPS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not a time; write {_TIME_FORMS}") from None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def period_options(command: Command) -> Command:
    """`--since` and `--until`, for `period_of`."""
    for name, meaning in (
        ("--until", "End, not included. Default: now."),
        ("--since", "Start. Default: 30d."),
    ):
        command = click.option(name, callback=read_moment, metavar="TIME", help=meaning)(command)
    return command


def period_of(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """The period to look at: by default the last 30 days, to the end of the hour that runs.

    Raises click.UsageError when it ends before it starts.
    """
    now = datetime.now(timezone.utc)
    end = until or now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    start = since or (until or now) - timedelta(days=30)
    if start >= end:
        raise click.UsageError(
            f"--since {start:%Y-%m-%dT%H:%M:%SZ} is not before --until {end:%Y-%m-%dT%H:%M:%SZ}"
        )
    return start, end


def format_options(*forms: str) -> Callable[[Command], Command]:
    """`--format`, the first of `forms` being the default, and `--json` for short; the command gets `form`."""

    def add(command: Command) -> Command:
        command = click.option("--json", "form", flag_value=JSON, help="Same as --format json.")(command)
        return click.option(
            "--format", "form", type=click.Choice(forms), default=forms[0], show_default=True
        )(command)

    return add
