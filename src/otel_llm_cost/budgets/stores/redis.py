"""Accounts in Redis: processes of many machines share them; one script, one round trip per exchange.

All keys carry one hash tag, so that a cluster keeps them on one node and the script may touch them together.
Time is the server's. Losing the server's memory (no AOF) or its last writes (failover to a replica that lags)
can let through what the lost leases covered: live processes then report their totals again, which restores
their spend, and `budget reconcile` restores the rest from the ledger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from otel_llm_cost.budgets.lease import (
    KEEP_ENDED,
    KEEP_UNUSED,
    LEASE_SECONDS,
    SHARE,
    Ask,
    Definitions,
    Grant,
    Identity,
    Raise,
    State,
    StoreAway,
)
from otel_llm_cost.budgets.period import FOREVER
from otel_llm_cost.core.errors import require

CONNECT_SECONDS = 0.02
ANSWER_SECONDS = 0.025
"""Together below the 50 ms after which each budget's `on_failure` decides. `?socket_timeout=` changes it."""

# `leases.py` states the rules; this says them again in Lua. Numbers are doubles there, exact up to 2^53
# (`measure.MOST_GRAINS`), and are written with %.0f since Lua would round the fifteenth digit away.
_COMMON = """
local function whole(number) return string.format('%.0f', number) end
local function time()
    local parts = redis.call('TIME')
    return tonumber(parts[1]) + tonumber(parts[2]) / 1000000
end
local function field(key, name) return tonumber(redis.call('HGET', key, name) or '0') end
local function add(key, name, number)
    local sum = field(key, name) + number
    redis.call('HSET', key, name, whole(sum))
    return sum
end
local function open(index, account, slots, identity, limit, window, slot, now)
    local fresh = redis.call('HSETNX', account, 'identity', identity)
    redis.call('HSET', account, 'max', limit, 'updated', whole(now))
    if fresh == 1 then redis.call('SADD', index, account) end
    if window > 0 then
        for _, start in ipairs(redis.call('HKEYS', slots)) do
            if tonumber(start) + slot <= now - window then
                add(account, 'spent', -field(slots, start))
                redis.call('HDEL', slots, start)
            end
        end
    end
    return fresh
end
local function age(keys, ends, window, now)
    if ends < 0 then return end
    local last = ends > 0 and ends + KEEP_ENDED or now + window + KEEP_UNUSED
    for _, key in ipairs(keys) do redis.call('EXPIREAT', key, math.floor(last)) end
end
local function spend(account, slots, amount, window, slot, now)
    if amount == 0 then return end
    add(account, 'spent', amount)
    if window > 0 then add(slots, whole(math.floor(now / slot) * slot), amount) end
end
""".replace("KEEP_ENDED", str(KEEP_ENDED)).replace("KEEP_UNUSED", str(KEEP_UNUSED))

EXCHANGE = (
    _COMMON
    + """
local now, answer = time(), {}
for n = 1, (#KEYS - 2) / 3 do
    local account, leases, slots = KEYS[3 * n], KEYS[3 * n + 1], KEYS[3 * n + 2]
    local at = 13 * (n - 1)
    local identity, id = ARGV[at + 1], ARGV[at + 2]
    local numbers = {}
    for i = 3, 13 do numbers[i] = tonumber(ARGV[at + i]) end
    local limit, spent, unknown, floor, need, least, slack, close, ends, window, slot = unpack(numbers, 3, 13)
    local fresh = open(KEYS[2], account, slots, identity, whole(limit), window, slot, now)
    local had, had_spent, had_unknown = 0, 0, 0
    local before = redis.call('HGET', leases, id)
    if before then
        local a, b, c = string.match(before, '^(%-?%d+) (%-?%d+) (%-?%d+)')
        had, had_spent, had_unknown = tonumber(a), tonumber(b), tonumber(c)
    end
    spend(account, slots, spent - had_spent, window, slot, now)
    local all_unknown = math.max(0, field(account, 'unknown') + unknown - had_unknown)
    local all_spent = field(account, 'spent') + field(account, 'adjusted')
    local others = field(account, 'leased') - had
    local sharers = redis.call('HLEN', leases) + (before and 0 or 1)
    local room = limit - all_spent - all_unknown - others - floor
    local amount = floor
    if room > 0 and room >= least then
        amount = floor + math.min(room, need + math.min(slack, math.floor(room / (SHARE * sharers))))
    end
    if close == 1 and amount == 0 then
        redis.call('HDEL', leases, id)
    else
        redis.call('HSET', leases, id, whole(amount) .. ' ' .. whole(spent) .. ' ' .. whole(unknown)
            .. ' ' .. whole(now + LEASE_SECONDS))
    end
    redis.call('HSET', account, 'unknown', whole(all_unknown), 'leased', whole(others + amount))
    age({account, leases, slots}, ends, window, now)
    answer[n] = {whole(amount), whole(all_spent), whole(others + amount + all_unknown), fresh}
end
return {answer, redis.call('GET', KEYS[1]) or '0'}
""".replace("LEASE_SECONDS", str(LEASE_SECONDS)).replace("SHARE", str(SHARE))
)

CHARGE = (
    _COMMON
    + """
local now, n = time(), {}
for i = 2, 6 do n[i] = tonumber(ARGV[i]) end
open(KEYS[2], KEYS[3], KEYS[5], ARGV[1], ARGV[2], n[5], n[6], now)
spend(KEYS[3], KEYS[5], n[3], n[5], n[6], now)
age({KEYS[3], KEYS[4], KEYS[5]}, n[4], n[5], now)
"""
)

ADJUST = (
    _COMMON
    + """
local now, n = time(), {}
for i = 2, 7 do n[i] = tonumber(ARGV[i]) end
open(KEYS[2], KEYS[3], KEYS[5], ARGV[1], ARGV[2], n[6], n[7], now)
local leased = 0
local all = redis.call('HGETALL', KEYS[4])
for i = 1, #all, 2 do
    local amount, rest, expires = string.match(all[i + 1], '^(%-?%d+)( %-?%d+ %-?%d+ )(%-?%d+)')
    if tonumber(expires) < now then
        redis.call('HSET', KEYS[4], all[i], '0' .. rest .. expires)
    else
        leased = leased + tonumber(amount)
    end
end
redis.call('HSET', KEYS[3], 'adjusted', ARGV[3], 'unknown', ARGV[4], 'leased', whole(leased))
age({KEYS[3], KEYS[4], KEYS[5]}, n[5], n[6], now)
"""
)

T = TypeVar("T")


class RedisStore:
    """See `Store`. dsn: `redis://host:6379/0`, `rediss://…`; `?cluster=true` for a cluster, `?namespace=…`.

    Raises MissingExtra when redis-py is not installed.
    """

    is_instant = False

    def __init__(self, dsn: str) -> None:
        self._redis = require("redis", "redis")
        parts = urlsplit(dsn)
        query = dict(parse_qsl(parts.query))
        self._is_cluster = query.pop("cluster", "") == "true"
        self._prefix = "{" + query.pop("namespace", "llm-cost") + "}:budget:"
        self._url = urlunsplit(parts._replace(query=urlencode(query)))
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """See `Store`."""
        redis: Any = self._redis
        client: Any = redis.cluster.RedisCluster if self._is_cluster else redis.Redis
        self._make = lambda: client.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        self._client: Any = None

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """The client; it connects when first used. A cluster's asks the cluster for its shape then."""
        try:
            if self._client is None:
                client: Any = self._make()  # type: ignore[no-untyped-call]
                self._scripts = {text: client.register_script(text) for text in (EXCHANGE, CHARGE, ADJUST)}
                self._client = client
            yield self._client
        except (self._redis.RedisError, OSError) as error:
            raise StoreAway(f"redis: {error}") from error

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    def _keys(self, account: Identity) -> list[str]:
        key = account.key
        return [self._key("account", key), self._key("lease", key), self._key("slot", key)]

    def exchange(self, asks: Sequence[Ask]) -> tuple[list[Grant], int]:
        """See `Store`."""
        keys, arguments = [self._key("revision"), self._key("accounts")], []
        for ask in asks:
            account = ask.account
            keys += self._keys(account)
            arguments += [
                json.dumps(account),
                ask.lease,
                ask.limit,
                ask.spent,
                ask.unknown,
                ask.floor,
                ask.need,
            ]
            arguments += [
                ask.least,
                ask.slack,
                int(ask.close),
                _end(account),
                account.window,
                account.slot,
            ]
        with self._connected():
            rows, revision = self._scripts[EXCHANGE](keys, arguments)
        return [Grant(int(a), int(b), int(c), bool(fresh)) for a, b, c, fresh in rows], int(revision)

    def revision(self) -> int:
        """See `Store`."""
        with self._connected() as client:
            return int(client.get(self._key("revision")) or 0)

    def definitions(self) -> Definitions:
        """See `Store`."""
        with self._connected() as client:
            revision = int(client.get(self._key("revision")) or 0)
            budgets = tuple(sorted(client.hgetall(self._key("definitions")).items()))
            raises = tuple(Raise(**json.loads(text)) for text in client.lrange(self._key("raises"), 0, -1))
        return Definitions(revision, budgets, raises)

    def define(self, name: str, budget: str, who: str, reason: str) -> None:
        """See `Store`."""
        with self._connected() as client:
            client.hset(self._key("definitions"), name, budget)
            self._note(client, int(time.time()), who, name, f"{budget or 'removed'} {reason}".strip())

    def add_raise(self, change: Raise) -> None:
        """See `Store`."""
        with self._connected() as client:
            fields = {name: getattr(change, name) for name in Raise.__dataclass_fields__}
            client.rpush(self._key("raises"), json.dumps(fields))
            text = f"raised by {change.by} until {change.until}: {change.reason}"
            self._note(client, change.at, change.who, change.budget, text)

    def _note(self, client: Any, *entry: int | str) -> None:
        client.rpush(self._key("history"), json.dumps(entry))
        client.incr(self._key("revision"))

    def history(self) -> list[tuple[int, str, str, str]]:
        """See `Store`."""
        with self._connected() as client:
            return [tuple(json.loads(text)) for text in client.lrange(self._key("history"), 0, -1)]

    def states(self) -> list[State]:
        """See `Store`."""
        with self._connected() as client:
            now = time.time()
            accounts = sorted(client.smembers(self._key("accounts")))
            return [state for key in accounts if (state := self._state(client, key, now)) is not None]

    def _state(self, client: Any, key: str, now: float) -> State | None:
        fields = client.hgetall(key)
        if not fields:
            return None
        leases = client.hvals(key.replace(":account:", ":lease:", 1))
        dead = sum(int(text.split()[0]) for text in leases if float(text.split()[3]) < now)
        number = {name: int(text) for name, text in fields.items() if name != "identity"}
        return State(
            Identity(*json.loads(fields["identity"])),
            number["max"],
            number.get("spent", 0),
            number.get("unknown", 0),
            number.get("leased", 0),
            dead,
            number.get("adjusted", 0),
            number["updated"],
        )

    def charge(self, account: Identity, limit: int, amount: int) -> None:
        """See `Store`."""
        self._run(CHARGE, account, limit, amount)

    def adjust(self, account: Identity, limit: int, adjusted: int, keep_unknown: int) -> None:
        """See `Store`."""
        self._run(ADJUST, account, limit, adjusted, keep_unknown)

    def _run(self, script: str, account: Identity, limit: int, *numbers: int) -> None:
        keys = [self._key("revision"), self._key("accounts"), *self._keys(account)]
        times = [_end(account), account.window, account.slot]
        with self._connected():
            self._scripts[script](keys, [json.dumps(account), limit, *numbers, *times])

    def prune(self, now: int) -> None:  # noqa: ARG002 - Redis knows the time
        """Redis forgets accounts by itself (EXPIREAT); what is left is their names."""
        with self._connected() as client:
            for key in client.smembers(self._key("accounts")):
                if not client.exists(key):
                    client.srem(self._key("accounts"), key)

    def close(self) -> None:
        """See `Store`."""
        if self._client is not None:
            self._client.close()
        self._client = None


def _end(account: Identity) -> int:
    """For the scripts: 0 for an account that ages when nobody uses it, below 0 for one that never does."""
    return -1 if account.period == FOREVER else account.end or 0
