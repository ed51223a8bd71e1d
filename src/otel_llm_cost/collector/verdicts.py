"""Which copies count: pure, from the copies that are known and how their spans hang together.

Copies that share a key are one *group*: one request, told several times. A span that stands above another
group's spans *covers* it: SDK wrapper above client, gateway above provider. If it covers one request, it is
that request told once more; if it covers several, it only adds them up. So, from the outside in:

- a group that covers nothing counts once, by its best copy;
- a group that covers one request is merged with it, and the best copy of both counts;
- a group that covers several does not count: they do.

The result depends on what is known, never on the order in which it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from otel_llm_cost.collector.copies import OWN_RANK, Copy

MOST_STEPS = 1_000
"""Longest way up a trace; a longer one is a loop or an attack."""

Parents = Mapping[int, int]
"""Span → its parent span, of every span that was kept, billable or not."""


def judge(copies: Iterable[Copy], parents: Parents) -> set[int]:
    """Numbers of the copies that count. `copies` must hold every copy of every group and trace they touch."""
    known = sorted(copies, key=lambda copy: copy.number)
    if len(known) == 1:
        return {known[0].number}
    return _Judge(known, parents).counting()


class _Judge:
    def __init__(self, copies: Sequence[Copy], parents: Parents) -> None:
        self.parents = parents
        self.groups: dict[int, list[Copy]] = {}
        by_span: dict[int, list[Copy]] = {}
        for copy in copies:
            self.groups.setdefault(copy.group, []).append(copy)
            if copy.span:
                by_span.setdefault(copy.span, []).append(copy)
        self.below: dict[int, set[int]] = {}
        self.covered: set[int] = set()
        for copy in copies:
            for cover in self._covers(copy, by_span):
                self.below.setdefault(cover, set()).add(copy.group)
                self.covered.add(copy.group)
        self.winners: dict[int, list[Copy]] = {}

    def counting(self) -> set[int]:
        """Outermost groups first; groups that cover each other in a ring are left for last."""
        outermost = [group for group in self.groups if group not in self.covered]
        counting = {copy.number for group in outermost for copy in self._winners(group)}
        for group in self.groups:
            if group not in self.winners:
                counting |= {copy.number for copy in self._winners(group)}
        return counting

    def _covers(self, copy: Copy, by_span: Mapping[int, list[Copy]]) -> set[int]:
        """The nearest group above that may tell of the same request, or add it up."""
        span = copy.parent
        for _ in range(MOST_STEPS):
            if not span:
                break
            found = {other.group for other in by_span.get(span, ()) if other.group != copy.group}
            covers = {group for group in found if self._may_cover(group, copy.group)}
            if covers:
                return covers
            span = self.parents.get(span, 0)
        return set()

    def _may_cover(self, above: int, below: int) -> bool:
        """Whether nothing speaks against the one telling of the same request as the other."""
        outer, inner = self.groups[above], self.groups[below]
        if any(copy.own for copy in outer) and any(copy.own for copy in inner):
            return False  # our own call ids differ, so these are two calls
        if any(_contradict(one, other) for one in outer for other in inner):
            return False
        # A failed attempt below a call that was served is an attempt of its own: a retry came after it.
        return all(copy.failed for copy in outer) or not all(copy.failed for copy in inner)

    def _winners(self, group: int) -> list[Copy]:
        if group in self.winners:
            return self.winners[group]
        self.winners[group] = []  # a ring ends here
        own = self._best(self.groups[group])
        inner = {copy.number: copy for other in self.below.get(group, ()) for copy in self._winners(other)}
        if not inner:
            winners = [own]
        elif len(inner) == 1 and own.failed == (only := next(iter(inner.values()))).failed:
            winners = [self._best([own, only])]
        else:
            winners = list(inner.values())
        self.winners[group] = winners
        return winners

    def _best(self, copies: list[Copy]) -> Copy:
        """The copy that tells most; among equals the innermost, nearest to the provider; then the first.

        A copy with more tokens than one below it adds up several requests, however much it tells; not ours.
        """
        if len(copies) == 1:
            return copies[0]
        served = [copy for copy in copies if not copy.failed] or copies
        single = [copy for copy in served if not any(self._adds_up(copy, other) for other in served)]
        return max(single or served, key=lambda copy: (copy.rank, self._depth(copy), -copy.number))

    def _adds_up(self, copy: Copy, other: Copy) -> bool:
        if copy.rank >= OWN_RANK or not other.whole or other.tokens >= copy.tokens or not copy.span:
            return False
        span = other.parent
        for _ in range(MOST_STEPS):
            if span == copy.span or not span:
                return span == copy.span
            span = self.parents.get(span, 0)
        return False

    def _depth(self, copy: Copy) -> int:
        """How far below its trace's root it stands, as far as is known."""
        span = copy.parent
        for step in range(MOST_STEPS):
            if not span:
                return step
            span = self.parents.get(span, 0)
        return MOST_STEPS


def _contradict(one: Copy, other: Copy) -> bool:
    """Both name the request, in the same way and as far as is known at the same host, and not the same one.

    A gateway gives ids of its own, so ids of two kinds or from two hosts may name one request.
    """
    return (
        one.identity != 0
        and other.identity != 0
        and one.identity != other.identity
        and one.id_kind == other.id_kind
        and (one.host == other.host or not one.host or not other.host)
    )
