"""`otel-llm-cost explain CALL_ID`: the price entry, where it is from, and the arithmetic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from otel_llm_cost import config
from otel_llm_cost.cli.options import JSON, TEXT, format_options, store_of, store_option
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.ledger.queries import COSTS, SUMS
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.pricing.calendar import instant, nanoseconds
from otel_llm_cost.pricing.vector import FOREVER
from otel_llm_cost.sinks import open_ledger
from otel_llm_cost.sinks.wire import decimal_text


class NotInLedger(LLMCostError):  # noqa: N818 - it is read as a fact
    """No call has this id."""


@click.command()
@click.argument("call_id")
@store_option
@format_options(TEXT, JSON)
def explain(call_id: str, store: str | None, form: str) -> None:
    """Show how the cost of one call was worked out."""
    with open_ledger(store_of(store)) as ledger:
        rows = ledger.query("call_by_id", {"call_id": call_id.strip()}).records()
    if not rows:
        raise NotInLedger(
            f"no call {call_id} in the ledger; a call's id is the attribute llm_cost.call_id of its span"
        )
    explanation = explained(rows)
    if form == JSON:
        click.echo(json.dumps(explanation, indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(_lines(explanation)))


def explained(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything the ledger says of one call, as plain data; money as decimal strings.

    rows: the first one is the call, later ones are its corrections.
    """
    first, latest = rows[0], rows[-1]
    known = [row["effective_cost"] for row in rows if row["effective_cost"] is not None]
    is_known = bool(known) and not (_is_call(rows) and sum(row["unpriced_calls"] for row in rows) > 0)
    return {
        "call_id": first["call_id"],
        "kind": first["kind"],
        "started_at": _text(first["started_at"]),
        **{name: first[name] for name in _WHO},
        **{name: latest[name] for name in _WHAT},
        "tags": latest["tags"],
        "usage": {unit: _text(quantity) for unit, quantity in _usage(rows).items()},
        "status": latest["cost_status"],
        "reason": latest["cost_reason"],
        "cost_usd": _text(sum(known, Decimal(0))) if is_known else None,
        "price": {
            **{name: latest[f"price_{name}"] for name in ("id", "version", "source")},
            **_held(first, latest),
        },
        "components": components(latest["components"]),
        **{f"{name}_cost_usd": _text(_total(rows, f"{name}_cost")) for name in ("list", "contracted")},
        "computed_cost_usd": _text(_total(rows, "computed_cost")) if _is_reported(latest) else None,
        **{f"{name}_cost_usd": _text(first[f"{name}_cost"]) for name in ("reported", "hinted", "app")},
        "error_type": first["error_type"],
        "denied_by": first["denied_by"],
        "rule": first["rule"],
        "usage_source": latest["usage_source"],
        "usage_flags": list(latest["usage_flags"]),
        "raw_usage": latest["raw_usage"],
        "corrections": [_correction(row) for row in rows[1:]],
    }


def _held(first: Mapping[str, Any], latest: Mapping[str, Any]) -> dict[str, str | None]:
    """From when to when the price entry held; nothing where it was another price list's than the present."""
    listed = PriceList.of_settings(config.load())
    if not latest["price_id"] or latest["price_version"] != listed.version:
        return {}
    vector = listed.vector(
        Call(
            provider=latest["provider"],
            request_model=latest["request_model"],
            response_model=latest["model"],
            deployment=latest["deployment"],
            server_address=latest["server_address"],
            started_at=nanoseconds(first["started_at"]),
            terms=dict(latest["terms"]),
        )
    )
    if vector.price_id != latest["price_id"]:
        return {}
    return {
        name: None if moment <= 1 or moment >= FOREVER else instant(moment).isoformat()
        for name, moment in (("from", vector.valid_from), ("until", vector.valid_until))
    }


_WHO = ("team", "feature", "environment", "customer_id", "service")
_WHAT = ("provider", "model", "request_model", "operation", "response_id")


def _is_call(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["calls"] > 0 for row in rows)


def _is_reported(row: Mapping[str, Any]) -> bool:
    return bool(row["cost_status"] == "reported")


def _total(rows: Sequence[Mapping[str, Any]], column: str) -> Decimal | None:
    """The call's amount: each correction has a difference."""
    known = [row[column] for row in rows if row[column] is not None]
    return sum(known, Decimal(0)) if known else None


def _usage(rows: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for row in rows:
        for unit, quantity in row["usage"].items():
            total[unit] = total.get(unit, Decimal(0)) + Decimal(quantity)
    return total


def components(text: str) -> list[dict[str, Any]]:
    """The stored arithmetic, with names; the same shape as `price` prints."""
    lines = json.loads(text) if text else []
    return [
        {
            "component": unit,
            "quantity": quantity,
            "unit_price_usd": unit_price,
            "per": per,
            "cost_usd": cost,
            **({"model": model[0]} if model else {}),
        }
        for unit, quantity, unit_price, per, cost, *model in lines
    ]


def _correction(row: Mapping[str, Any]) -> dict[str, Any]:
    changed = {name: row[name] for name in (*SUMS, *COSTS) if row[name]}
    return {
        "kind": row["kind"],
        "booked_at": _text(row["booked_at"]),
        "reason": row["booking_reason"],
        "price_id": row["price_id"],
        "changed": {name: _text(value) for name, value in changed.items()},
    }


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def _lines(what: Mapping[str, Any]) -> list[str]:
    """The explanation for a person."""
    asked = (
        f" (asked for {what['request_model']})" if what["request_model"] not in ("", what["model"]) else ""
    )
    lines = [
        f"Call {what['call_id']}, {what['started_at']}, {what['kind'].replace('_', ' ')}",
        f"{what['provider']} {what['model']}{asked}, {what['operation']}".strip(),
    ]
    named = [(key, what[key]) for key in _WHO] + sorted(what["tags"].items())
    if tags := [f"{key} {text}" for key, text in named if text]:
        lines.append(", ".join(tags))
    if what["denied_by"]:
        return [*lines, "", f"Refused by {what['denied_by']} before it was made: it cost nothing."]
    if what["error_type"]:
        lines.append(f"It failed: {what['error_type']}")
    lines += ["", *_price_lines(what), *_arithmetic(what["components"])]
    cost = "unknown" if what["cost_usd"] is None else f"{what['cost_usd']} USD"
    reason = f": {what['reason']}" if what["reason"] else ""
    lines.append(f"Cost: {cost} ({what['status'] or 'not priced'}{reason})")
    for name, meaning in _BESIDE:
        amount = what[f"{name}_cost_usd"]
        if amount is not None and amount != what["cost_usd"]:
            lines.append(f"{meaning}: {amount} USD")
    lines.append(f"Usage from: {what['usage_source']}{_flags(what['usage_flags'])}")
    for correction in what["corrections"]:
        changed = ", ".join(f"{name} {amount}" for name, amount in correction["changed"].items())
        kind = correction["kind"].capitalize()
        lines.append(f"{kind} of {correction['booked_at']}: {correction['reason']} ({changed})")
    return lines


_BESIDE = (
    ("list", "At list price"),
    ("contracted", "At your rates"),
    ("reported", "The provider said"),
    ("hinted", "The gateway estimated"),
    ("computed", "By our price list"),
    ("app", "The app said"),
)


def _price_lines(what: Mapping[str, Any]) -> list[str]:
    price = what["price"]
    if not price["id"]:
        return []
    version = f", version {price['version']}" if price["version"] else ""
    lines = [f"Price {price['id']} from {price['source'] or 'an unknown source'}{version}"]
    if "from" in price:
        lines.append(
            f"in force from {price['from'] or 'the first'} until {price['until'] or 'further notice'}"
        )
    return [*lines, ""]


def _arithmetic(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per unit, in columns: quantity × price / per = cost."""
    table = [
        (
            line["component"] + (f" ({line['model']})" if "model" in line else ""),
            line["quantity"],
            f"× {line['unit_price_usd']}",
            f"/ {line['per']:,}",
            f"= {line['cost_usd']}",
        )
        for line in lines
    ]
    if not table:
        return []
    widths = [max(len(row[place]) for row in table) for place in range(5)]
    shown = [
        f"  {row[0].ljust(widths[0])}  {row[1].rjust(widths[1])} {row[2].ljust(widths[2])} "
        f"{row[3].ljust(widths[3])} {row[4]}".rstrip()
        for row in table
    ]
    return [*shown, ""]


def _flags(flags: Sequence[str]) -> str:
    return f" ({', '.join(flags)})" if flags else ""
