"""What the panels' queries say, against plain Python over the same calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost

from .conftest import EARLIER, NOW, Book, Engine, cost_of

SINCE = NOW - timedelta(days=30)
BEFORE = SINCE - timedelta(days=30)


def started(call: Call) -> datetime:
    """When the ledger says it started: a call whose clock cannot be right stands where it was booked."""
    at = call.started_at if call.started_at > EARLIER else EARLIER + 2 * 10**9
    return datetime.fromtimestamp(at / 1e9, timezone.utc)


def calls_in(book: Book, since: datetime = SINCE, until: datetime = NOW) -> list[Call]:
    return [call for call in book.calls if since <= started(call) < until]


def cost(calls: Iterable[Call]) -> Decimal:
    return sum((call.cost.effective or Decimal(0) for call in calls if call.cost), Decimal(0))


def by(calls: Iterable[Call], key: Callable[[Call], Any]) -> dict[Any, list[Call]]:
    groups = defaultdict(list)
    for call in calls:
        groups[key(call)].append(call)
    return dict(groups)


def tag(name: str) -> Callable[[Call], str]:
    return lambda call: call.tags.get(name, "")


def is_known(call: Call) -> bool:
    return call.cost is not None and call.cost.effective is not None


def test_untagged_is_the_cost_of_calls_without_the_tag(full: Engine, book: Book) -> None:
    calls = calls_in(book)
    (row,) = full.ask("untagged", since=SINCE, until=NOW, key="team")
    missing = [call for call in calls if not call.tags.get("team")]
    assert (row["untagged_calls"], row["untagged_cost"], row["cost"]) == (
        len(missing),
        cost(missing),
        cost(calls),
    )
    assert row["untagged_share"] == pytest.approx(float(cost(missing) / cost(calls)))


def test_missing_tags_are_listed_by_what_is_spent_without_them(full: Engine, book: Book) -> None:
    rows = full.ask("missing_tags", since=SINCE, until=NOW)
    assert [row["tag"] for row in rows][:2] == ["environment", "team"]
    for row in rows:
        missing = [call for call in calls_in(book) if not call.tags.get(row["tag"])]
        assert (row["untagged_calls"], row["untagged_cost"]) == (len(missing), cost(missing))


def test_movers_are_the_differences_to_the_range_before(full: Engine, book: Book) -> None:
    rows = full.ask("movers", since=SINCE, until=NOW, key="team", limit=10)
    now, before = by(calls_in(book), tag("team")), by(calls_in(book, BEFORE, SINCE), tag("team"))
    expected = {key: (cost(now.get(key, ())), cost(before.get(key, ()))) for key in {*now, *before}}
    assert {row["key"]: (row["cost_now"], row["cost_before"]) for row in rows} == expected
    assert all(row["change"] == row["cost_now"] - row["cost_before"] for row in rows)
    changes = [abs(row["change"]) for row in rows]
    assert changes == sorted(changes, reverse=True)


def test_the_month_is_summed_and_forecast_from_the_same_days_of_the_week(full: Engine, book: Book) -> None:
    (row,) = full.ask("month", until=NOW)
    day = timedelta(days=1)
    today = NOW.replace(hour=0, minute=0)
    month, last_month, next_month = (
        datetime(2026, number, 1, tzinfo=timezone.utc) for number in (11, 10, 12)
    )
    assert row["today_cost"] == cost(calls_in(book, today))
    assert row["month_cost"] == cost(calls_in(book, month))
    assert row["last_month_cost"] == cost(calls_in(book, last_month, month))

    daily = [cost(calls_in(book, today - day * n, today - day * (n - 1))) for n in range(1, 29)]
    usual = {weekday: Fraction(0) for weekday in range(7)}
    for n, amount in enumerate(daily, start=1):
        usual[(today - day * n).weekday()] += Fraction(amount) / 4
    left = Fraction((today + day - NOW) // timedelta(seconds=1), 86400)
    rest = usual[today.weekday()] * left
    moment = today + day
    while moment < next_month:
        rest += usual[moment.weekday()]
        moment += day
    assert row["forecast"] == pytest.approx(float(Fraction(row["month_cost"]) + rest))
    assert row["month_cost"] < row["forecast_low"] < row["forecast"] < row["forecast_high"]


def test_a_forecast_needs_a_week(folder: Any) -> None:
    young = Engine(folder, "young", young_book(days=5).rows)
    try:
        (row,) = young.ask("month", until=NOW)
        assert row["month_cost"] > 0
        assert row["forecast"] is row["forecast_low"] is row["forecast_high"] is None
        assert row["change_share"] is None, "there is no last month to compare with"
    finally:
        young.sink.close()


def young_book(days: int) -> Book:
    book = Book()
    for n in range(days):
        when = int((NOW - timedelta(days=n, hours=1)).timestamp()) * 10**9
        book.add(Call(provider="openai", started_at=when, usage=book_usage(), cost=cost_of(book_usage())))
    return book


def book_usage() -> Any:
    from otel_llm_cost.core.usage import Usage

    return Usage(input_uncached=1000, output=100)


def test_efficiency_divides_by_calls_whose_cost_is_known(full: Engine, book: Book) -> None:
    rows = {row["key"]: row for row in full.ask("efficiency", since=SINCE, until=NOW, key="model")}
    for model, calls in by(calls_in(book), lambda call: call.model).items():
        row, known = rows[model], [call for call in calls if is_known(call)]
        assert (row["calls"], row["effective_cost"] or 0) == (len(calls), cost(calls))
        if not known:
            assert row["cost_per_call"] is None
            continue
        assert row["cost_per_call"] == pytest.approx(float(cost(calls) / len(known)))
        retried = sum(call.attempt > 1 for call in calls)
        assert row["retried_share"] == pytest.approx(retried / len(calls))
    assert rows["odd"]["failed_share"] == pytest.approx(1 / (1 + rows["odd"]["calls"]))


def test_cache_savings_are_what_the_tokens_would_have_cost_uncached(full: Engine, book: Book) -> None:
    (row,) = full.ask("cache_by", since=SINCE, until=NOW, filters={"model": ["model-3"]})
    calls = [call for call in calls_in(book) if call.model == "model-3"]
    read = sum(call.usage["cache_read"] for call in calls)
    written = sum(call.usage["cache_write_5m"] for call in calls)
    assert row["hit_rate"] == pytest.approx(read / sum(call.usage.input_tokens for call in calls))
    assert row["read_saving"] == pytest.approx(read * (3 - 0.3) / 1e6)
    assert row["write_premium"] == pytest.approx(written * (3.75 - 3) / 1e6)
    assert row["net_saving"] == pytest.approx(row["read_saving"] - row["write_premium"])


def test_cache_savings_of_groups_add_up_to_the_whole(full: Engine) -> None:
    (total,) = full.ask("cache_by", since=SINCE, until=NOW)
    teams = full.ask("cache_by", since=SINCE, until=NOW, by=["team"])
    models = full.ask("cache_by", since=SINCE, until=NOW, by=["provider", "model"])
    for rows in (teams, models):
        assert sum(row["net_saving"] for row in rows if row["net_saving"] is not None) == pytest.approx(
            total["net_saving"]
        )
        assert sum(row["input_tokens"] for row in rows) == total["input_tokens"]


def per_customer(book: Book) -> list[Decimal]:
    known = [call for call in calls_in(book) if is_known(call) and call.tags.get("customer_id")]
    return sorted((cost(calls) for calls in by(known, tag("customer_id")).values()), reverse=True)


def test_cost_per_customer_and_its_concentration(full: Engine, book: Book) -> None:
    costs = per_customer(book)
    (row,) = full.ask("cost_per", since=SINCE, until=NOW, per="customer")
    assert (row["things"], row["highest"]) == (len(costs), costs[0])
    assert row["mean"] == pytest.approx(float(sum(costs) / len(costs)))
    (row,) = full.ask("concentration", since=SINCE, until=NOW, per="customer")
    top = -(-len(costs) * 5 // 100)
    assert row["top_things"] == top
    assert row["top_share"] == pytest.approx(float(sum(costs[:top]) / sum(costs)))


def test_a_histogram_holds_every_customer_and_all_their_cost(full: Engine, book: Book) -> None:
    rows = full.ask("cost_histogram", since=SINCE, until=NOW, per="customer")
    costs = per_customer(book)
    assert sum(row["things"] for row in rows) == len(costs)
    assert sum(row["bucket_cost"] for row in rows) == sum(costs)
    edges = [row["at_least"] for row in rows]
    assert edges == sorted(edges)
    counted = [
        sum(low <= float(each) < high for each in costs)
        for low, high in zip(edges, [*edges[1:], 1e9], strict=True)
    ]
    assert [row["things"] for row in rows] == counted


def test_largest_shares_run_up_to_the_whole(full: Engine, book: Book) -> None:
    rows = full.ask("largest", since=SINCE, until=NOW, by=["team", "feature"], limit=1000)
    assert sum(row["effective_cost"] for row in rows) == cost(calls_in(book))
    assert rows[-1]["running_share"] == pytest.approx(1)
    shares = [row["cost_share"] for row in rows]
    assert shares == sorted(shares, reverse=True)


def test_repeats_cost_what_all_but_one_of_equal_requests_cost(full: Engine, book: Book) -> None:
    rows = full.ask("repeated_prompts", since=SINCE, until=NOW, filters={"team": ["search"]})
    groups = by(
        (call for call in calls_in(book) if call.prompt_hash and call.tags.get("team") == "search"),
        lambda call: (tag("team")(call), tag("feature")(call), call.model, call.prompt_hash),
    )
    again = [calls for calls in groups.values() if len(calls) > 1]
    assert sum(row["repeats"] for row in rows) == sum(len(calls) - 1 for calls in again)
    saving = sum(float(cost(calls)) * (len(calls) - 1) / len(calls) for calls in again)
    assert sum(row["repeat_cost"] for row in rows) == pytest.approx(saving)


def test_broken_answers_are_paid_and_failed_attempts_are_not(full: Engine, book: Book) -> None:
    rows = full.ask("retry_waste", since=SINCE, until=NOW)
    broken = [call for call in calls_in(book) if call.error_type]
    assert sum(row["broken"] for row in rows) == len(broken)
    assert sum(row["broken_cost"] or 0 for row in rows) == cost(broken)
    assert sum(row["failed"] for row in rows) == 1


def test_calls_that_might_wait_are_neither_streamed_nor_in_a_conversation(full: Engine, book: Book) -> None:
    rows = full.ask("batch_eligible", since=SINCE, until=NOW)
    waiting = [
        call for call in calls_in(book) if not call.stream and not call.conversation_id and is_known(call)
    ]
    assert sum(row["eligible_cost"] for row in rows) == cost(waiting)
    assert sum(row["possible_saving"] for row in rows) == pytest.approx(float(cost(waiting)) / 2)


def test_the_apps_figure_is_compared_with_what_was_booked(full: Engine, book: Book) -> None:
    rows = full.ask("drift", since=SINCE, until=NOW)
    assert rows
    assert all(row["difference"] == row["booked"] - row["told"] for row in rows)


def test_a_change_of_price_is_told_once_per_model(full: Engine) -> None:
    rows = full.ask("price_changes", since=SINCE, until=NOW)
    assert len({row["text"] for row in rows}) == len(rows) == 12
    assert all(row["text"].endswith(": price new") for row in rows)


def test_a_cost_that_was_corrected_is_counted_as_corrected(folder: Any) -> None:
    from otel_llm_cost.ledger import Booking, correction, row

    when = int((NOW - timedelta(hours=2)).timestamp()) * 10**9
    call = Call(
        provider="openai", request_model="m", started_at=when, usage=book_usage(), cost=Cost.unknown("none")
    )
    first = row(call, Booking("b", 0, when))
    call.cost = cost_of(book_usage())
    second = correction(row(call, Booking("b", 1, when)), [first], Booking("c", 0, when, reason="reprice"))
    assert second is not None
    mended = Engine(folder, "mended", [first, second])
    try:
        (efficiency,) = mended.ask("efficiency", since=SINCE, until=NOW, key="model")
        assert efficiency["cost_per_call"] == pytest.approx(float(call.cost.effective or 0))
        (doubts,) = mended.ask("doubts", since=SINCE, until=NOW)
        assert (doubts["t_calls"], doubts["t_unpriced_calls"], doubts["corrections"]) == (1, 0, 1)
        assert mended.ask("unpriced", since=SINCE, until=NOW) == []
    finally:
        mended.sink.close()
