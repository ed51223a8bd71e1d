"""The algebra alone: whatever the order of operations, nothing is created, lost or passed."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from otel_llm_cost.budgets import reserve as algebra
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import CLOSED, Account, Hold

amounts = st.builds(Amounts, st.integers(0, 400), st.integers(0, 400), st.just(1))


class Reservations(RuleBasedStateMachine):
    """Two dollar budgets, one of tokens, one of calls; any subset must agree."""

    running = Bundle("running")
    unknown = Bundle("unknown")
    closed = Bundle("closed")

    def __init__(self) -> None:
        super().__init__()
        self.accounts = [Account(0, 1000), Account(0, 700), Account(1, 1500), Account(2, 9)]
        self.limits = [account.granted for account in self.accounts]
        self.open: list[Hold] = []

    @rule(target=running, bound=amounts, which=st.sets(st.integers(0, 3), min_size=1))
    def reserve(self, bound: Amounts, which: set[int]) -> Hold:
        accounts = [self.accounts[index] for index in sorted(which)]
        before = [(account.room, account.held) for account in accounts]
        hold = algebra.reserve(accounts, accounts, bound)
        fits = all(
            room >= bound[account.measure] for account, (room, _) in zip(accounts, before, strict=True)
        )
        assert (hold is not None) == fits
        if hold is None:
            assert before == [(account.room, account.held) for account in accounts]
            return Hold((), bound)
        self.open.append(hold)
        return hold

    @rule(target=closed, hold=consumes(running), part=st.integers(0, 100))
    def settle(self, hold: Hold, part: int) -> Hold:
        algebra.settle(hold, Amounts(*(amount * part // 100 for amount in hold.amounts)))
        return hold

    @rule(target=closed, hold=consumes(running))
    def release(self, hold: Hold) -> Hold:
        algebra.release(hold)
        return hold

    @rule(target=unknown, hold=consumes(running))
    def lose_sight(self, hold: Hold) -> Hold:
        algebra.charge_unknown(hold)
        return hold

    @rule(target=closed, hold=consumes(unknown), part=st.integers(0, 100))
    def learn_late(self, hold: Hold, part: int) -> Hold:
        algebra.settle(hold, Amounts(*(amount * part // 100 for amount in hold.amounts)))
        return hold

    @rule(hold=closed)
    def end_again(self, hold: Hold) -> None:
        before = [account.room for account in self.accounts]
        algebra.settle(hold, Amounts(1, 1, 1))
        algebra.release(hold)
        algebra.charge_unknown(hold)
        assert before == [account.room for account in self.accounts]

    @invariant()
    def no_limit_is_passed_and_nothing_is_created(self) -> None:
        for account, limit in zip(self.accounts, self.limits, strict=True):
            assert account.granted == limit
            assert account.spent + account.held + account.unknown <= limit
            assert min(account.room, account.held, account.spent, account.unknown) >= 0

    def teardown(self) -> None:
        for hold in self.open:
            if hold.state is not CLOSED:
                algebra.release(hold)
        assert [account.held for account in self.accounts] == [0, 0, 0, 0]
        assert [account.unknown for account in self.accounts] == [0, 0, 0, 0]


TestReservations = Reservations.TestCase
