"""Before each attempt: reserve the most it can cost in every matching budget, or refuse it. After: settle."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from otel_llm_cost.budgets import denial, request_size
from otel_llm_cost.budgets.bound import Bound, Bounds
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import BudgetExceeded
from otel_llm_cost.core.units import INPUT_UNITS, OUTPUT_UNITS
from otel_llm_cost.pipeline import Exit, Policy, Run

if TYPE_CHECKING:
    from otel_llm_cost.budgets.book import Book
    from otel_llm_cost.budgets.rules import Facets
    from otel_llm_cost.budgets.share import Lack
    from otel_llm_cost.pricing import PriceList

ACTION = "llm_cost.budget.action"
"""On the span: what a budget did to the call (`warn`, `degrade`, `cap_output`)."""
BUDGET = "llm_cost.budget.name"
"""On the span: which budgets did it, with commas between."""

LEAST_OUTPUT = 16
"""The lowest output limit that is worth a call (and the lowest that OpenAI's Responses API takes)."""

LIMIT_OF_API: dict[str, str] = {"chat.completions": "max_completion_tokens", "responses": "max_output_tokens"}
"""Which parameter limits the output; `max_tokens` elsewhere."""
LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")

NOT_BILLED_STATUS = frozenset({503, 529})
"""Overloaded, so nothing was made beside 4xx
(https://docs.anthropic.com/en/api/errors; from memory, unchecked)."""

TOKENS = INPUT_UNITS | OUTPUT_UNITS

UNSURE = frozenset({"aborted", "maybe_billed"})
NOT_SENT = "not_sent"

SESSION_TAGS = ("session_id", "session.id", "session")

OBSERVED = 500
ENOUGH = 50

Ask = tuple["Facets", Amounts, int]
Steps = Generator[Ask, "Hold | Lack", "Plan"]


@dataclass(slots=True)
class Plan:
    """One attempt's reservation on its way: what it is for, and what of it holds."""

    facets: Facets
    now: int
    bound: Bound
    hold: Hold | None = None


class EnforceBudgets(Policy):
    """Calls that could pass a hard limit are refused with BudgetExceeded, before anything is sent.

    service: the `service` that budgets may match. Where the provider surely billed nothing the reservation is
    released, where nobody knows it stays charged until the ledger does.
    """

    name = "budget"

    def __init__(self, book: Book, prices: PriceList | None = None, service: str = "") -> None:
        self._book = book
        self._prices = prices
        self._bounds: Bounds | None = None
        self._service = service
        self._observes = False
        self._outputs: dict[tuple[str, str], deque[int]] = {}

    def prepare(self) -> None:
        self._book.prepare()
        self._ready()

    def _ready(self) -> Bounds:
        if self._bounds is None:
            from otel_llm_cost.pricing import PriceList  # loads with the SDK, not at start-up

            self._bounds = Bounds(self._prices or PriceList.default())
        return self._bounds

    def enter(self, run: Run) -> Exit | None:
        plan = self._expected(run) or self._drive(run)
        return self._begin(run, plan)

    async def enter_async(self, run: Run) -> Exit | None:
        plan = self._expected(run) or await self._drive_async(run)
        return self._begin(run, plan)

    async def expect_async(self, run: Run) -> None:
        try:
            run.expected = await self._drive_async(run)
        except BudgetExceeded as refusal:
            run.expected = refusal

    @staticmethod
    def _expected(run: Run) -> Plan | None:
        expected, run.expected = run.expected, None
        if isinstance(expected, BudgetExceeded):
            raise expected
        return expected if isinstance(expected, Plan) else None

    def _drive(self, run: Run) -> Plan:
        plan = self._plan(run)
        if self._fits(plan):
            return plan
        steps = self._steps(run, plan)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(self._book.reserve(*ask))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def _drive_async(self, run: Run) -> Plan:
        plan = self._plan(run)
        if self._fits(plan):
            return plan
        steps = self._steps(run, plan)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(await self._book.reserve_async(*ask))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def _fits(self, plan: Plan) -> bool:
        """Whether this process holds enough: the common case, without the store."""
        plan.hold = self._book.try_reserve(plan.facets, plan.bound.amounts, plan.now)
        return plan.hold is not None

    def _steps(self, run: Run, plan: Plan) -> Steps:
        """Reserve, with what can be done when there is no room: count exactly, cap the output, degrade."""
        answer = yield plan.facets, plan.bound.amounts, plan.now
        if not isinstance(answer, Hold):
            exact = self._exact(run, plan.bound)
            if exact is not None:
                plan.bound = exact
                answer = yield plan.facets, exact.amounts, plan.now
        remedy = None if isinstance(answer, Hold) else self._remedies.get(answer.action)
        if remedy is not None and run.request is not None and run.call.attempt == 1:
            lack = answer
            assert not isinstance(lack, Hold)
            changed = remedy(self, run, plan, lack)
            if changed is not None:
                plan = changed
                answer = yield plan.facets, plan.bound.amounts, plan.now
                if isinstance(answer, Hold):
                    _mark(run, lack.action, lack.share.budget.name)
        if not isinstance(answer, Hold):
            raise denial.exceeded(answer, plan.bound.amounts)
        plan.hold = answer
        return plan

    def _plan(self, run: Run) -> Plan:
        call, book = run.call, self._book
        now = call.started_at // 1_000_000_000
        rules = book.rules
        lifetimes = _lifetimes(run) if rules.lifetimes else None
        facets = rules.facets(
            call.provider, call.request_model, self._service, call.operation, call.tags, lifetimes
        )
        return Plan(facets, now, self._bound(run, facets, now))

    def _bound(self, run: Run, facets: Facets, now: int) -> Bound:
        call, request = run.call, run.request
        body: Mapping[str, Any] = request.body if request is not None else {}
        usual = None
        if call.max_tokens is None:
            hard = self._book.scope(facets, now).hard
            if hard and all(share.budget.output_bound == "observed" for share in hard):
                self._observes = True
                usual = self._usual_output(call)
        bound = self._ready().bound(call, body, request.terms if request is not None else {}, usual)
        gaps = bound.gaps if request is not None else (*bound.gaps, "the request cannot be seen")
        if gaps:
            for share in self._book.scope(facets, now).hard:
                budget = share.budget
                if budget.unbounded == "deny" and budget.limit.measure != "calls":
                    raise denial.unbounded(budget, gaps[0])
        return bound

    @staticmethod
    def _exact(run: Run, bound: Bound) -> Bound | None:
        """A tighter bound from the model's own vocabulary, where there is one."""
        if run.request is None or bound.gaps:
            return None
        tokens = request_size.count(run.request.body, run.call.request_model)
        return bound.with_input(tokens) if tokens is not None and tokens < bound.input else None

    def _cap(self, run: Run, plan: Plan, _lack: Lack) -> Plan | None:
        """Lower the output limit to what is left."""
        limit = plan.bound.output_that_fits(self._book.room(plan.facets, plan.now))
        if plan.bound.gaps or limit < LEAST_OUTPUT:
            return None
        assert run.request is not None
        name = next(
            (n for n in LIMITS if n in run.request.body), LIMIT_OF_API.get(run.call.api, "max_tokens")
        )
        run.request.change(**{name: limit})
        run.call.max_tokens = limit
        return replace(plan, bound=plan.bound.with_output(limit))

    def _degrade(self, run: Run, _plan: Plan, lack: Lack) -> Plan | None:
        """Ask the cheaper model instead; it must fit, too."""
        assert run.request is not None
        model = lack.share.budget.degrade_to
        if model == run.call.request_model:
            return None
        run.request.change(model=model)
        run.call.request_model = model
        return self._plan(run)

    _remedies = {"cap_output": _cap, "degrade": _degrade}  # noqa: RUF012 - a table, never changed

    def _begin(self, run: Run, plan: Plan) -> Exit:
        over = self._book.over(plan.facets, plan.now)
        if over:
            _mark(run, "warn", ",".join(share.budget.name for share in over))
        return lambda run: self._end(run, plan)

    def _end(self, run: Run, plan: Plan) -> None:
        call, hold, book = run.call, plan.hold, self._book
        if run.is_last and isinstance(run.expected, Plan) and run.expected.hold is not None:
            book.release(run.expected.hold)  # the retry that it was for never came
        if hold is None:
            return
        if call.denied_by or NOT_SENT in call.usage_flags or _is_refusal(call):
            book.release(hold)
        elif not call.usage or (call.usage_flags and UNSURE.intersection(call.usage_flags)):
            book.charge_unknown(hold)
        else:
            book.settle(hold, _true(call, plan.bound))
            if self._observes:
                self._observe(call)

    def _observe(self, call: Call) -> None:
        key = (call.request_model, call.tags.get("feature", ""))
        lengths = self._outputs.get(key)
        if lengths is None:
            if len(self._outputs) >= OBSERVED:
                self._outputs.clear()
            lengths = self._outputs[key] = deque(maxlen=OBSERVED)
        lengths.append(call.usage.output_tokens)

    def _usual_output(self, call: Call) -> int | None:
        """The 99th percentile of what this feature got from this model lately, once that means something."""
        lengths = self._outputs.get((call.request_model, call.tags.get("feature", "")))
        if lengths is None or len(lengths) < ENOUGH:
            return None
        ordered = sorted(lengths)
        return ordered[len(ordered) * 99 // 100]


def _true(call: Call, bound: Bound) -> Amounts:
    cost = call.cost
    known = None if cost is None else cost.effective_atto
    if known is None or (cost is not None and cost.status in ("unpriced", "partial")):
        known = max(known or 0, bound.amounts.usd)  # a lower bound would leave the rest uncounted
    tokens = sum([quantity for unit, quantity in call.usage.items() if unit in TOKENS])
    return Amounts(known, int(tokens), 1)


def _is_refusal(call: Call) -> bool:
    status = call.status_code
    return status is not None and (400 <= status < 500 or status in NOT_BILLED_STATUS) and status != 408


def _lifetimes(run: Run) -> dict[str, str]:
    call, context = run.call, run.span.get_span_context() if run.span is not None else None
    tags = call.tags
    return {
        "trace": f"{context.trace_id:032x}" if context is not None and context.trace_id else "",
        "session": next((tags[name] for name in SESSION_TAGS if tags.get(name)), ""),
        "conversation": call.conversation_id,
    }


def _mark(run: Run, action: str, budgets: str) -> None:
    if run.span is not None and run.span.is_recording():
        run.span.set_attributes({ACTION: action, BUDGET: budgets})
