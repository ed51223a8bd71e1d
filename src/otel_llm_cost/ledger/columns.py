"""One ledger row: every column once, with its type, where its value comes from, and what it means.

The table's DDL, the insert, the row itself, the FOCUS names and docs/ledger.md derive from COLUMNS.

Two rules make a plain `sum()` right (design D7). A *summed* column says what the row adds: a duplicate and
a denial add nothing, a correction adds the difference, which may be negative, so these columns are signed.
That holds for the counts too: a correction that finds a price has `unpriced_calls = -1`. And a cost that is
not known is NULL, never 0.

An empty text means "not known", and in a tag "nobody": a tag that was set to the empty text allocates to
nobody, so untagged is one value and can be a sorting key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from otel_llm_cost.ledger.entry import NOTHING

WORD = "LowCardinality(String)"
TEXT = "String"
PACKED = "String CODEC(ZSTD(1))"
INSTANT = "DateTime64(6, 'UTC')"
COUNT = "Int8"
QUANTITY = "Int64"
MONEY = "Nullable(Decimal(38, 18))"
SECONDS = "Nullable(Float64)"
WORDS = "Array(LowCardinality(String))"
TAGS = "Map(LowCardinality(String), String)"
UNITS = "Map(LowCardinality(String), Decimal(38, 9))"

_DEFAULTS: dict[str, Any] = {
    "Nullable": None,
    "Map": {},
    "Array": (),
    "LowCardinality": "",
    "String": "",
    "Int": 0,
    "UInt": 0,
    "DateTime64": 0,
}


@dataclass(frozen=True, slots=True)
class Column:
    """A stored column.

    type: ClickHouse's, codec included. doc: one line. value: path from an `Entry`, the column's own name
    when empty. focus: name in FOCUS where it means the same (https://focus.finops.org, 1.4, read 2026-11-24).
    summed: a row's value is what it adds. since: the migration that brought it.
    """

    name: str
    type: str
    doc: str
    value: str = ""
    focus: str = ""
    summed: bool = False
    since: int = 1

    @property
    def stored_type(self) -> str:
        """The type without the codec: what an insert declares."""
        return self.type.partition(" CODEC")[0]

    @property
    def default(self) -> Any:
        """What the table holds where an insert leaves the column out."""
        return next(value for start, value in _DEFAULTS.items() if self.type.startswith(start))

    @property
    def nothing(self) -> Any:
        """What a row that adds nothing has here."""
        return NOTHING if self.type == MONEY else {} if self.type == UNITS else 0


def _summed(name: str, type_: str, doc: str, *, focus: str = "") -> Column:
    return Column(name, type_, doc, focus=focus, summed=True)


COLUMNS: tuple[Column, ...] = (
    # when, and which row
    Column("started_at", INSTANT, "When the attempt started.", focus="ChargePeriodStart"),
    Column("duration_s", SECONDS, "How long it took, to the end of a stream."),
    Column("time_to_first_chunk_s", SECONDS, "Until a stream began.", value="call.time_to_first_chunk_s"),
    Column("booked_at", INSTANT, "When this row was written."),
    Column("batch_id", WORD, "The insert that brought the row.", value="booking.batch_id"),
    Column("row_no", "UInt32", "Its place in that insert.", value="booking.row_no"),
    Column("kind", WORD, "usage, failed_attempt, denial, duplicate or correction.", value="booking.kind"),
    Column("charge_category", WORD, "Usage; others for what is not a call.", focus="ChargeCategory"),
    Column("charge_class", WORD, "Correction on a correction, else empty.", focus="ChargeClass"),
    Column("booking_reason", WORD, "Why the row exists, where it is not plain.", value="booking.reason"),
    Column("call_id", TEXT, "The attempt; a correction has that of its call.", value="call.call_id"),
    Column("dedupe_key", PACKED, "Strongest key of copies of the call.", value="booking.dedupe_key"),
    Column("duplicate_of", PACKED, "On a duplicate: the call that counts.", value="booking.duplicate_of"),
    Column("attempt", "UInt16", "1 for the first try, more after retries."),
    Column("trace_id", TEXT, "Trace of the call, hex.", value="booking.trace_id"),
    Column("span_id", TEXT, "Span of the call, hex.", value="booking.span_id"),
    Column("parent_span_id", TEXT, "Span around the call, hex.", value="booking.parent_span_id"),
    # who spent it
    Column("team", WORD, "Allocation tag."),
    Column("feature", WORD, "Allocation tag."),
    Column("environment", WORD, "Allocation tag, else deployment.environment.name."),
    Column("customer_id", TEXT, "Allocation tag."),
    Column("tags", TAGS, "Every other allocation tag.", focus="Tags"),
    Column("service", WORD, "service.name of the emitter.", value="booking.service"),
    Column("session_id", TEXT, "session.id of the emitter.", value="booking.session_id"),
    Column("conversation_id", TEXT, "gen_ai.conversation.id.", value="call.conversation_id"),
    Column(
        "billing_account",
        WORD,
        "Account at the provider.",
        value="call.billing_account",
        focus="BillingAccountId",
    ),
    Column("project", WORD, "Project or workspace in it.", value="call.project", focus="SubAccountId"),
    Column("api_key_hash", WORD, "Hash of the API key, never the key.", value="call.api_key_hash"),
    # what was called
    Column("provider", WORD, "Who bills.", value="call.provider", focus="ServiceProviderName"),
    Column("operation", WORD, "chat, embeddings …", value="call.operation"),
    Column("api", WORD, "Which API of the provider.", value="call.api"),
    Column("model", WORD, "The model that is priced.", value="call.model", focus="SkuId"),
    Column("request_model", WORD, "The model asked for.", value="call.request_model"),
    Column("response_model", WORD, "The model that served.", value="call.response_model"),
    Column("response_id", TEXT, "The provider's id of the answer.", value="call.response_id"),
    Column("request_id", TEXT, "The provider's id of the request.", value="call.request_id"),
    Column("server_address", WORD, "Host that was called.", value="call.server_address"),
    Column("server_port", "UInt16", "Its port, 0 when not known."),
    Column(
        "deployment", WORD, "Deployment or inference profile.", value="call.deployment", focus="ResourceId"
    ),
    Column("region", WORD, "Where it was served.", focus="RegionId"),
    Column("service_tier", WORD, "priority, flex, batch …"),
    Column("terms", TAGS, "Whatever else decides the price.", value="call.terms"),
    Column("is_stream", "UInt8", "1 when the answer was streamed."),
    Column("max_tokens", "Nullable(Int64)", "Output limit of the request.", value="call.max_tokens"),
    Column("prompt_hash", TEXT, "Hash of the request, never its content.", value="call.prompt_hash"),
    Column("finish_reasons", WORDS, "Why the model stopped.", value="call.finish_reasons"),
    Column("error_type", WORD, "The provider's code or the exception's name.", value="call.error_type"),
    Column("status_code", "UInt16", "HTTP status, 0 when not known."),
    Column("denied_by", WORD, "The policy that refused the call.", value="call.denied_by"),
    # how often
    _summed("calls", COUNT, "1 for a call, 0 for a row that is none."),
    _summed("failed_attempts", COUNT, "1 for a failed attempt."),
    _summed("denials", COUNT, "1 for a refused call."),
    _summed("duplicates", COUNT, "1 for a copy of a booked call."),
    _summed("estimated_calls", COUNT, "1 when the quantities are estimated."),
    _summed("partial_calls", COUNT, "1 when a unit had no rate."),
    _summed("unpriced_calls", COUNT, "1 when no cost is known."),
    # what it used
    _summed("input_tokens", QUANTITY, "All prompt tokens, cache included."),
    _summed("output_tokens", QUANTITY, "All generated tokens, reasoning included."),
    _summed("cache_read_tokens", QUANTITY, "Prompt tokens read from a cache."),
    _summed("cache_write_tokens", QUANTITY, "Prompt tokens written to one."),
    _summed("reasoning_tokens", QUANTITY, "The part of output nobody reads."),
    _summed("usage", UNITS, "Every unit that was reported, disjoint.", focus="ConsumedQuantity"),
    Column("usage_source", WORD, "provider, stream, estimated or missing.", value="call.usage_source"),
    Column("usage_flags", WORDS, "What was odd about the usage or the times."),
    Column("usage_parts", PACKED, "JSON: usage of other models inside the call."),
    Column("raw_usage", PACKED, "JSON: the provider's own usage object.", value="call.raw_usage"),
    # what it is worth
    Column("currency", WORD, "Of every cost here.", value="cost.currency", focus="BillingCurrency"),
    _summed("effective_cost", MONEY, "For trends and budgets.", focus="EffectiveCost"),
    _summed("contracted_cost", MONEY, "At your rates.", focus="ContractedCost"),
    _summed("list_cost", MONEY, "At public prices.", focus="ListCost"),
    _summed("input_cost", MONEY, "Of effective: uncached prompt."),
    _summed("output_cost", MONEY, "Of effective: generated tokens."),
    _summed("cache_read_cost", MONEY, "Of effective: cache reads."),
    _summed("cache_write_cost", MONEY, "Of effective: cache writes."),
    _summed("tools_cost", MONEY, "Of effective: tools and other fees."),
    _summed("reported_cost", MONEY, "What the provider said."),
    _summed("hinted_cost", MONEY, "What a gateway estimated."),
    _summed("computed_cost", MONEY, "Our figure, where the provider's counts."),
    _summed("app_cost", MONEY, "What the app itself worked out."),
    Column("cost_status", WORD, "priced, partial, estimated, unpriced or reported.", value="status"),
    Column("cost_reason", WORD, "Why unpriced or partial.", value="cost.reason"),
    Column("price_id", WORD, "The price entry that applied.", value="cost.price_id", focus="SkuPriceId"),
    Column("price_version", WORD, "The price data it is from.", value="cost.price_version"),
    Column("price_source", WORD, "Which layer of prices it is from.", value="cost.price_source"),
    Column("components", PACKED, "JSON: unit, quantity, price, per, cost, model."),
    # on whose word
    Column("emitter", WORD, "Instrumentation scope that told of the call.", value="booking.emitter"),
    Column("emitter_version", WORD, "Its version.", value="booking.emitter_version"),
    Column("signal", WORD, "span, log, or app.", value="booking.signal"),
    Column("rule", WORD, "The rule that read its attributes.", value="booking.rule"),
)

NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
INDEX: dict[str, int] = {name: number for number, name in enumerate(NAMES)}
"""Where a column stands in a row."""
SUMMED: tuple[int, ...] = tuple(number for number, column in enumerate(COLUMNS) if column.summed)
FOCUS: dict[str, str] = {column.focus: column.name for column in COLUMNS if column.focus}
"""FOCUS name → our column, where the two mean the same."""
