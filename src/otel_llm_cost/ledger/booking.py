"""How a call is booked: everything about a row that the call itself does not know."""

from __future__ import annotations

from typing import Literal, NamedTuple

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost

Kind = Literal["usage", "failed_attempt", "denial", "duplicate", "correction"]
"""usage: a call that was served, priced or not. failed_attempt: an attempt that ended in an error and carries
no usage. denial: a policy refused it, nothing was sent. duplicate: a copy of a call that is booked already.
correction: the difference between what an earlier row said and what is known now."""


class Booking(NamedTuple):
    """Who books a call, when, under which number, and on whose word.

    batch_id, row_no: one insert and the place in it; together they name the row, and a retried insert asks
    which of them are there. Both must be the same when the batch is built again.
    booked_at: Unix nanoseconds. kind: see Kind. service, environment: of the emitting resource; a tag of the
    call beats `environment`. dedupe_key: the strongest key by which another copy would be known.
    duplicate_of: call id of the row that counts. emitter, emitter_version: instrumentation scope. signal:
    span, log, or app when no wire lay between. rule: which normaliser rule read it.
    app_cost: what the app itself said it costs (design D16). reason: why this row exists, where that is not
    plain. Times and texts that are not known stay empty.
    """

    batch_id: str
    row_no: int
    booked_at: int
    kind: Kind = "usage"
    service: str = ""
    environment: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    session_id: str = ""
    dedupe_key: str = ""
    duplicate_of: str = ""
    emitter: str = ""
    emitter_version: str = ""
    signal: str = "span"
    rule: str = ""
    app_cost: Cost | None = None
    reason: str = ""


def kind_of(call: Call) -> Kind:
    """What a call is on its own, before anyone knows of copies of it.

    An attempt that failed but carries usage (a broken stream) was served in part and counts as a call; so
    does one that succeeded and told no usage: it is unpriced, and must be seen.
    """
    if call.denied_by:
        return "denial"
    return "failed_attempt" if call.error_type and not call.usage else "usage"
