"""Which copies count: pure, from the copies that are known and how their spans hang together.

A *request* is a set of copies that tell of the same one. Copies that share a key (one *group*) do. A span
above others may tell of the same request once more (SDK wrapper above client, gateway above provider), or
add several up. So every trace is read from the innermost spans outwards, and a span that stands

- above no request is one of its own;
- above one request tells of that one, unless something speaks against it;
- above several adds them up, and counts for nothing.

Of every request the best copy counts. The result depends on what is known, not on the order it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from otel_llm_cost.collector.copies import OWN_RANK, Copy

MOST_STEPS = 1_000
"""Longest way up a trace; a longer one is a loop or an attack."""

Parents = Mapping[int, int]
"""Span → its parent span, of every span that was kept, billable or not."""

Request = list[Copy]


def judge(copies: Iterable[Copy], parents: Parents) -> set[int]:
    """Numbers of the copies that count. `copies` must hold every copy of every group and trace they touch."""
    known = sorted(copies, key=lambda copy: copy.number)
    if len(known) == 1:
        return {known[0].number}
    requests = _requests(known, parents)
    return {_best(request, parents).number for request in requests if request}


def _requests(copies: list[Copy], parents: Parents) -> list[Request]:
    """Every request that the copies tell of, with the copies that do."""
    by_span: dict[int, Request] = {}
    for copy in copies:
        by_span.setdefault(copy.span or -copy.number, []).append(copy)
    depths = {span: _depth(tellings[0], parents) for span, tellings in by_span.items()}
    inner: dict[int, list[Request]] = {}
    outermost: list[Request] = []
    for span in sorted(by_span, key=lambda span: -depths[span]):
        told = _read(by_span[span], _merged(inner.pop(span, [])))
        above = _nearest(by_span[span][0], by_span, parents)
        (outermost if above is None else inner.setdefault(above, [])).extend(told)
    for left in inner.values():  # below a span that was read before them: spans in a ring
        outermost += left
    return _merged(outermost)


def _nearest(copy: Copy, by_span: Mapping[int, Request], parents: Parents) -> int | None:
    """The nearest span above that tells of a call."""
    span = copy.parent
    for _ in range(MOST_STEPS):
        if not span or span == copy.span:
            return None
        if span in by_span:
            return span
        span = parents.get(span, 0)
    return None


def _depth(copy: Copy, parents: Parents) -> int:
    """How far below its trace's root a copy stands, as far as is known."""
    span = copy.parent
    for step in range(MOST_STEPS):
        if not span:
            return step
        span = parents.get(span, 0)
    return MOST_STEPS


def _merged(requests: list[Request]) -> list[Request]:
    """The same with those put together that share a group."""
    if len(requests) < 2:
        return requests
    home: dict[int, int] = {}
    merged: dict[int, Request] = {}
    for index, request in enumerate(requests):
        mine = list(request)
        for other in sorted({home[copy.group] for copy in request if copy.group in home}):
            mine += merged.pop(other)
        merged[index] = mine
        for copy in mine:
            home[copy.group] = index
    return list(merged.values())


def _read(tellings: Request, inner: list[Request]) -> list[Request]:
    """The requests at a span and below it, from those below it."""
    apart: list[Request] = []
    below: list[Request] = []
    for request in inner:
        (below if _may_cover(tellings, request) else apart).append(request)
    if not below:
        return [*apart, tellings]
    groups = {copy.group for copy in tellings}
    same = [request for request in below if any(copy.group in groups for copy in request)]
    if len(below) == 1 and _all_failed(tellings) == _all_failed(below[0]):
        same = below
    for request in same:
        request += tellings
        break
    return [*apart, *below]


def _all_failed(request: Request) -> bool:
    return all(copy.failed for copy in request)


def _may_cover(above: Request, below: Request) -> bool:
    """Whether nothing speaks against the one telling of the same request as the other."""
    if any(copy.group == other.group for copy in above for other in below):
        return True
    if any(copy.own for copy in above) and any(copy.own for copy in below):
        return False  # our own call ids differ, so these are two calls
    if any(_contradict(copy, other) for copy in above for other in below):
        return False
    # A failed attempt below a call that was served is an attempt of its own: a retry came after it.
    return _all_failed(above) or not _all_failed(below)


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


def _best(request: Request, parents: Parents) -> Copy:
    """The copy that tells most; among equals the innermost, nearest to the provider; then the first.

    A copy with more tokens than one below it adds up several requests, however much it tells; but not ours.
    """
    if len(request) == 1:
        return request[0]
    served = [copy for copy in request if not copy.failed] or request
    single = [copy for copy in served if not any(_adds_up(copy, other, parents) for other in served)]
    return max(single or served, key=lambda copy: (copy.rank, _depth(copy, parents), -copy.number))


def _adds_up(copy: Copy, other: Copy, parents: Parents) -> bool:
    if copy.rank >= OWN_RANK or not other.whole or other.tokens >= copy.tokens or not copy.span:
        return False
    span = other.parent
    for _ in range(MOST_STEPS):
        if span == copy.span or not span:
            return span == copy.span
        span = parents.get(span, 0)
    return False
