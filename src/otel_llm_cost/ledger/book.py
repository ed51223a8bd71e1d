"""From the wire into the ledger: what an emitter told becomes a priced row."""

from __future__ import annotations

from collections.abc import Callable

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.ledger.booking import Booking, kind_of
from otel_llm_cost.ledger.row import Row, row
from otel_llm_cost.normalise import Billable


def book(
    billable: Billable,
    price: Callable[[Call], Cost],
    *,
    batch_id: str,
    row_no: int,
    booked_at: int,
    dedupe_key: str = "",
    duplicate_of: str = "",
) -> Row:
    """The row of a call, priced here, whatever the emitter said that it costs (design D16).

    price: how a call is priced; asked only for calls that count. duplicate_of: call id of the copy that
    counts, empty when this one does. The others are as in `Booking`.
    """
    call, source = billable.call, billable.source
    app_cost = call.cost
    kind = "duplicate" if duplicate_of else kind_of(call)
    call.cost = price(call) if kind == "usage" else None
    return row(
        call,
        Booking(
            batch_id=batch_id,
            row_no=row_no,
            booked_at=booked_at,
            kind=kind,
            service=billable.service,
            trace_id=source.trace_id,
            span_id=source.span_id,
            parent_span_id=source.parent_span_id,
            session_id=str(source.attributes.get("session.id", "")),
            dedupe_key=dedupe_key,
            duplicate_of=duplicate_of,
            emitter=source.scope,
            emitter_version=source.scope_version,
            signal="log" if source.is_record else "span",
            rule=billable.rule,
            app_cost=app_cost,
        ),
    )
