"""`otel-llm-cost price`: what usage costs, from a file of cases or from the command line, without any app."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from otel_llm_cost import config
from otel_llm_cost.cli.options import period_of, read_moment, store_of, store_option
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Component, Cost, to_text
from otel_llm_cost.core.units import UNIT
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.pricing import price as price_call
from otel_llm_cost.pricing.calendar import nanoseconds
from otel_llm_cost.pricing.match import provider_name
from otel_llm_cost.pricing.missing import snippet
from otel_llm_cost.pricing.normalise import OUTPUT_MISSING, terms_of_context

SHORT = {"input": "input_uncached", "cached": "cache_read", "cache_write": "cache_write_5m"}
"""What people write for a unit → the unit."""


@click.command()
@click.option(
    "--cases", metavar="FILE", help="Cases as JSON, one per line or as one array; - is standard input."
)
@click.option("--provider", metavar="NAME", help="One call: its provider.")
@click.option("--model", metavar="NAME", help="One call: its model.")
@click.option("--usage", multiple=True, metavar="UNIT=N", help="One call: a quantity, such as output=300.")
@click.option(
    "--term", multiple=True, metavar="KEY=VALUE", help="What decides the price, as service_tier=flex."
)
@click.option("--at", callback=read_moment, metavar="TIME", help="When the call started. Default: now.")
@click.option(
    "--missing", is_flag=True, help="Print what to add to the config: for --cases, else for the ledger."
)
@click.option(
    "--overrides",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own prices, else the config's.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for one call. Cases are always JSON.")
@store_option
def price(
    cases: str | None,
    provider: str | None,
    model: str | None,
    usage: Sequence[str],
    term: Sequence[str],
    at: datetime | None,
    missing: bool,
    overrides: Path | None,
    as_json: bool,
    store: str | None,
) -> None:
    """Price usage from a file of provider payloads, or one call, or list what has no price.

    Exit code 1 when a case cannot be read; the others are still priced.
    """
    now = at or datetime.now(timezone.utc)
    if cases is None and not usage and missing:
        click.echo(_missing_in_ledger(store), nl=False)
        return
    prices = PriceList.of_settings(config.load(overrides={"price_overrides": overrides}))
    if cases is not None:
        if usage or provider or model:
            raise click.UsageError(
                "--cases brings its own provider, model and usage; leave those options out"
            )
        sys.exit(_price_cases(_read(cases), prices, now, missing=missing))
    if not (provider and model and usage):
        raise click.UsageError(
            "give --cases FILE, or one call: "
            "--provider openai --model gpt-5 --usage input=1200 --usage output=300"
        )
    call = Call(
        provider=provider_name(provider),
        request_model=model,
        usage=_usage(usage),
        usage_source="provider",
        terms=terms_of_context(_pairs(term, "--term")),
        started_at=nanoseconds(now),
    )
    cost = price_call(call, prices)
    if missing:
        click.echo(_snippet([(call, cost, 1)]), nl=False)
    else:
        click.echo(json.dumps(_outcome(None, cost, call)) if as_json else _for_people(call, cost))


# cases


def _read(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--cases {file}: {error.strerror or 'cannot be read'}") from None
    return raw.decode("utf-8-sig", errors="replace")


def _price_cases(text: str, prices: PriceList, now: datetime, *, missing: bool) -> int:
    from otel_llm_cost.cli.price_cases import Unreadable, price_case, read_cases

    failed = 0
    priced: list[tuple[Call, Cost, int]] = []
    for found in read_cases(text):
        try:
            if isinstance(found, Unreadable):
                raise ValueError(found.reason)
            line, case = found
            call, cost = price_case(case, prices, now)
        except (ValueError, RecursionError) as error:
            failed = 1
            line = found.line if isinstance(found, Unreadable) else found[0]
            _print({"id": None, "line": line, "status": "error", "reason": str(error)})
            continue
        if missing:
            priced.append((call, cost, 1))
        else:
            _print(_outcome(case.get("id"), cost, call))
    if missing:
        click.echo(_snippet(priced), nl=False)
    return failed


def _print(outcome: dict[str, Any]) -> None:
    click.echo(json.dumps(outcome, ensure_ascii=False))


def _outcome(id_: Any, cost: Cost, call: Call) -> dict[str, Any]:
    """A case's line. An amount that would need estimated quantities is null, with the status `estimated`."""
    needs_estimate = call.usage_source == "missing" or OUTPUT_MISSING in call.usage_flags
    status, reason = cost.status, cost.reason
    if needs_estimate:
        status = "estimated"
        if cost.exact is not None:
            reason = f"{reason}: {cost.exact} USD; the output has to be estimated"
    known = None if needs_estimate else cost.exact
    return {
        "id": id_,
        "status": status,
        "cost_usd": known,
        "components": [] if known is None else _components(cost),
        "price_id": cost.price_id,
        "reason": reason,
    }


def _components(cost: Cost) -> list[dict[str, str]]:
    if cost.status == "reported":
        amount = cost.exact or "0"
        return [_line("reported by provider", Decimal(amount), Decimal(1), 1, amount)]
    return [_component(component) for component in cost.components]


def _component(line: Component) -> dict[str, str]:
    name = line.unit if line.model is None else f"{line.unit} of {line.model}"
    return _line(name, line.quantity, line.unit_price, line.per, to_text(line.atto))


def _line(name: str, quantity: int | Decimal, unit_price: Decimal, per: int, cost: str) -> dict[str, str]:
    return {
        "component": name,
        "quantity": f"{quantity:f}" if isinstance(quantity, Decimal) else str(quantity),
        "unit_price_usd": _plain(unit_price),
        "per": str(per),
        "cost_usd": cost,
    }


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# one call


def _usage(pairs: Sequence[str]) -> Usage:
    quantities: dict[str, int | Decimal] = {}
    for unit, text in _pairs(pairs, "--usage").items():
        name = SHORT.get(unit, unit)
        if name not in UNIT:
            close = difflib.get_close_matches(name, [*UNIT, *SHORT], 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; units are {', '.join(UNIT)}"
            raise click.UsageError(f"--usage {unit}: no such unit{hint}")
        try:
            number = Decimal(text)
            if not number.is_finite() or number < 0:
                raise InvalidOperation
        except InvalidOperation:
            raise click.UsageError(
                f"--usage {unit}: expected a number that is not negative, got {text!r}"
            ) from None
        quantities[name] = int(number) if number == number.to_integral_value() else number
    return Usage(quantities)


def _pairs(pairs: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise click.UsageError(f"{option} {pair}: expected key=value")
        found[key.strip()] = text.strip()
    return found


def _for_people(call: Call, cost: Cost) -> str:
    lines = [
        f"{line.quantity:>14,}  {line.unit:<22} × {_plain(line.unit_price):>8} / {line.per:<9,} "
        f"= {to_text(line.atto)}"
        for line in cost.components
    ]
    amount = f"{cost.exact} USD" if cost.exact is not None else "unknown"
    lines.append(f"{call.provider} {call.model}: {amount} ({cost.status})")
    if cost.price_id:
        lines.append(f"price {cost.price_id}, from {cost.price_source} ({cost.price_version})")
    if cost.reason:
        lines.append(cost.reason)
    return "\n".join(lines)


# missing prices


def _snippet(priced: Iterable[tuple[Call, Cost, int]]) -> str:
    gaps: dict[tuple[str, str, str], int] = {}
    for call, cost, count in priced:
        if cost.status in ("unpriced", "partial"):
            key = (call.provider, call.model, cost.reason)
            gaps[key] = gaps.get(key, 0) + count
    return _ended(snippet((*gap, _comment(calls, gap[2])) for gap, calls in gaps.items()))


def _missing_in_ledger(store: str | None) -> str:
    from otel_llm_cost.sinks import open_ledger

    start, end = period_of(None, None)
    with open_ledger(store_of(store)) as ledger:
        rows = ledger.query("unpriced", {"since": start, "until": end}).records()
    return _ended(
        snippet(
            (
                row["provider"],
                row["model"],
                row["reason"],
                _comment(
                    row["unpriced_calls"] + row["partial_calls"],
                    row["reason"],
                    row["input_tokens"] + row["output_tokens"],
                ),
            )
            for row in rows
        )
    )


def _comment(calls: int, reason: str, tokens: int | None = None) -> str:
    counted = f"{calls:,} call{'s' if calls != 1 else ''}"
    counted += f", {tokens:,} tokens" if tokens else ""
    return f"{counted}: {reason.partition(';')[0]}"


def _ended(text: str) -> str:
    if not text:
        click.echo("otel-llm-cost: nothing is missing, every call has a price", err=True)
        return ""
    return f"{text}\n"
