"""Whether the ledger says what the provider billed, call by call, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from otel_llm_cost.demo.provider import Line, Seen
from otel_llm_cost.sinks import Ledger

_MOST_ROWS = 100_000


@dataclass(frozen=True)
class Story:
    """What the app is known to do: models of the calls that are cut off and that have no price, one each."""

    cut_off: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    untagged: int = 0


@dataclass(frozen=True)
class Gap:
    """A call that cannot be exact, and by how much. `ledger` is None where no cost is known."""

    model: str
    response_id: str
    billed: Decimal
    ledger: Decimal | None

    @property
    def missing(self) -> Decimal:
        """What the ledger lacks in USD; negative where it has too much."""
        return self.billed - (self.ledger or Decimal(0))


@dataclass
class Check:
    """The outcome. `priced` calls are equal one by one. `differences` are sentences; there should be none."""

    priced: int = 0
    ledger: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)
    cut_off: list[Gap] = field(default_factory=list)
    unpriced: list[Gap] = field(default_factory=list)
    refused: int = 0
    untagged: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not self.differences


@dataclass(frozen=True)
class Booked:
    """A call as the ledger has it, all its rows summed."""

    call_id: str
    key: str
    model: str
    team: str
    status: str
    calls: int
    failed: int
    cost: Decimal | None


def compare(
    bill: Iterable[Line], requests: Sequence[Seen], ledger: Ledger, period: Mapping[str, Any], story: Story
) -> Check:
    """Look up every line of the bill in the ledger, and every call of the ledger on the bill."""
    check = Check()
    booked: dict[str, Booked] = {}
    for call in _booked(ledger, period):
        if not call.calls and not call.failed:
            continue  # a copy that was recognised: it adds nothing
        if call.key in booked:
            check.differences.append(f"{call.model} ({call.key}) is in the ledger twice")
        booked[call.key] = call
    for line in bill:
        _compare_line(check, line, booked.pop(line.response_id or line.request_id, None))
    check.refused = sum(call.failed for call in booked.values())
    check.differences.extend(
        f"{call.model} (call {call.call_id}) is in the ledger and not on the bill"
        for call in booked.values()
        if call.calls
    )
    _compare_story(check, story, requests)
    _compare_total(check, ledger, period)
    return check


def _booked(ledger: Ledger, period: Mapping[str, Any]) -> Iterator[Booked]:
    listed = ledger.query("calls", {**period, "limit": _MOST_ROWS}).records()
    for call_id in sorted({row["call_id"] for row in listed}):
        rows = ledger.query("call_by_id", {"call_id": call_id}).records()
        first, last = rows[0], rows[-1]
        costs = [row["effective_cost"] for row in rows if row["effective_cost"] is not None]
        yield Booked(
            call_id=call_id,
            key=first["response_id"] or first["request_id"] or call_id,
            model=first["model"],
            team=first["team"],
            status=last["cost_status"],
            calls=sum(row["calls"] for row in rows),
            failed=sum(row["failed_attempts"] for row in rows),
            cost=sum(costs, Decimal(0)) if costs else None,
        )


def _compare_line(check: Check, line: Line, call: Booked | None) -> None:
    billed = Decimal(line.usd)
    if call is None:
        check.differences.append(f"{line.model} ({line.response_id or line.request_id}) is not in the ledger")
        return
    check.untagged += not call.team
    gap = Gap(line.model, call.key, billed, call.cost)
    if not line.complete:
        check.cut_off.append(gap)
        if call.status != "estimated":
            check.differences.append(f"{line.model} ({call.key}) was cut off, yet is {call.status}")
    elif call.cost is None:
        check.unpriced.append(gap)
    elif call.cost != billed or call.status != "priced":
        check.differences.append(
            f"{line.model} ({call.key}) costs {plain(call.cost)} USD in the ledger ({call.status}) "
            f"and {line.usd} USD on the bill"
        )
    else:
        check.priced += 1
        check.ledger += call.cost
        check.billed += billed


def _compare_story(check: Check, story: Story, requests: Sequence[Seen]) -> None:
    """What is set apart is what the app did, and nothing slipped in there."""
    refused = sum(1 for seen in requests if seen.status >= 400)
    for what, found, wanted in (
        ("cut off", sorted(gap.model for gap in check.cut_off), sorted(story.cut_off)),
        ("without a price", sorted(gap.model for gap in check.unpriced), sorted(story.unknown)),
        ("refused attempts", check.refused, refused),
        ("untagged calls", check.untagged, story.untagged),
    ):
        if found != wanted:
            check.differences.append(f"{what}: {found} in the ledger, {wanted} expected")


def _compare_total(check: Check, ledger: Ledger, period: Mapping[str, Any]) -> None:
    """The report's total is the priced calls and the estimates, and nothing else."""
    total = ledger.query("spend_by", {**period, "by": []}).records()
    reported = total[0]["effective_cost"] if total else None
    estimated = sum((gap.ledger for gap in check.cut_off if gap.ledger is not None), Decimal(0))
    if reported != check.ledger + estimated and check.ok:
        check.differences.append(
            f"the report's total is {plain(reported)} USD, its calls sum to {plain(check.ledger + estimated)}"
        )


def plain(amount: Decimal | None) -> str:
    """An exact plain decimal; `unknown` where nothing is known."""
    return "unknown" if amount is None else f"{amount.normalize():f}"
