"""What a refused caller reads: which budget, how much of what is gone, when it starts over, who to ask."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from otel_llm_cost.budgets.definition import Budget
from otel_llm_cost.budgets.measure import GRAIN, MEASURES, Amounts, Measure, amount_text
from otel_llm_cost.budgets.period import Calendar, Rolling
from otel_llm_cost.budgets.share import Lack, Share
from otel_llm_cost.core.cost import to_decimal
from otel_llm_cost.core.errors import BudgetExceeded

NOTHING_SENT = "The call was not made and nothing was billed."


def exceeded(lack: Lack, needed: Amounts) -> BudgetExceeded:
    """The error for a call that could have cost `needed`."""
    share = lack.share
    budget = share.budget
    ask = f"; ask {budget.contact}" if budget.contact else ""
    if lack.away:
        message = (
            f"budget {title(share)} cannot be checked since its store does not answer, and it refuses calls "
            f"then (on_failure: closed){ask}. {NOTHING_SENT}"
        )
        return BudgetExceeded(message, budget=budget.name, contact=budget.contact)
    measure = share.identity.measure
    limit = share.limit * GRAIN[measure]
    unreported = share.spent - share.reported[0]
    spent = share.everybody_spent + unreported
    reserved = max(0, share.everybody_reserved - unreported - max(share.room, 0))  # what idles is not in use
    need = needed[MEASURES.index(measure)]
    message = (
        f"budget {title(share)} has no room: of {amount_text(limit, measure)}, {amount_text(spent, measure)} "
        f"are spent and {amount_text(reserved, measure)} reserved, and this call may need up to "
        f"{amount_text(need, measure)}; {resets(share)}{ask}. {NOTHING_SENT}"
    )
    return BudgetExceeded(
        message,
        budget=budget.name,
        subject=share.identity.subject,
        measure=measure,
        limit=_number(limit, measure),
        spent=_number(spent, measure),
        reserved=_number(reserved, measure),
        needed=_number(need, measure),
        resets_at=share.identity.end,
        contact=budget.contact,
    )


def unbounded(budget: Budget, reason: str) -> BudgetExceeded:
    """The error for a call whose cost nobody can bound, where the budget refuses such calls."""
    ask = f", or ask {budget.contact}" if budget.contact else ""
    message = (
        f"budget {budget.name} refuses calls whose cost has no upper bound (unbounded: deny), and this one "
        f"has none: {reason}{ask}. {NOTHING_SENT}"
    )
    return BudgetExceeded(message, budget=budget.name, contact=budget.contact)


def title(share: Share) -> str:
    """`search-monthly (customer_id=acme)`."""
    subject = unquote(share.identity.subject)
    return f"{share.identity.budget} ({subject})" if subject else share.identity.budget


def resets(share: Share) -> str:
    """When room comes back, as half a sentence in the budget's own time zone."""
    clock, end = share.budget.clock, share.identity.end
    if isinstance(clock, Calendar) and end is not None:
        zone = timezone.utc if clock.zone == "UTC" else ZoneInfo(clock.zone)
        return f"it starts over at {datetime.fromtimestamp(end, zone):%Y-%m-%d %H:%M} {clock.zone}"
    if isinstance(clock, Rolling):
        return f"room comes back as spend of the last {clock.seconds} s ages"
    return "it does not start over"


def _number(amount: int, measure: Measure) -> Decimal:
    return to_decimal(amount) if measure == "usd" else Decimal(amount)
