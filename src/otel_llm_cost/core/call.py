"""Call: one attempt at one model. One call becomes one span or record, and one ledger row."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage

Terms = Mapping[str, str]
"""What besides model and quantity decides the price. Keys, each absent when it does not apply:

service_tier      served tier, else the requested one (`priority`, `flex`, `fast`, `ultrafast`, `batch` …)
processing        `batch` for results of a batch job
speed             Anthropic `fast`
inference_geo     Anthropic `us`
residency         region of a data-residency host (`eu`, `us`)
region            cloud region or Vertex location
deployment_type   `global`, `data_zone`, `regional`, `provisioned`
zone              data zone (`eu`, `us`, `apac`)
search_context    `low`, `medium`, `high` search context size
search_type       Perplexity `fast`
latency           Bedrock `optimized`
image_size        as `1024x1024`, where images or video are priced by it; image_quality beside it
container_memory  `4g`, `16g`, `64g` of a code-interpreter container
traffic_type      Gemini/Vertex traffic type
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Usage inside a call that another model did (Anthropic's advisor, OpenAI's image tool)."""

    model: str
    usage: Usage


NO_USAGE: Final = Usage()


_random = random.Random(os.urandom(32))  # noqa: S311 - ids must be unique, not secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def new_call_id() -> str:
    """A random 128-bit id as hex.

    From a generator of our own, so that neither a fork nor `random.seed` repeats one; asking the system each
    time takes up to 20 µs on some virtual machines.
    """
    return f"{_random.getrandbits(128):032x}"


@dataclass(slots=True)
class Call:
    """One attempt at one model; mutable while it runs, and only inside the pipeline.

    Times are Unix nanoseconds. Empty string and None mean "not known". `tags` are allocation tags, the well
    known ones (team, feature, environment, customer_id) beside free keys. `raw_usage` is the provider's usage
    object as compact JSON, numbers only, never content. `usage_source` is provider, stream, estimated or
    missing. `reported_cost` is what the provider says it bills, `hinted_cost` what a gateway estimates; USD.
    `error_type` is the provider's code or the exception's name. `denied_by` names the policy that refused the
    call.
    """

    provider: str = ""
    operation: str = "chat"
    request_model: str = ""
    call_id: str = field(default_factory=new_call_id)
    api: str = ""
    response_model: str = ""
    response_id: str = ""
    request_id: str = ""
    attempt: int = 1
    stream: bool = False
    server_address: str = ""
    server_port: int | None = None
    started_at: int = 0
    ended_at: int | None = None
    time_to_first_chunk_s: float | None = None
    max_tokens: int | None = None
    usage: Usage = NO_USAGE
    usage_source: str = "missing"
    parts: tuple[Part, ...] = ()
    terms: Terms = field(default_factory=dict)
    reported_cost: str = ""
    hinted_cost: str = ""
    raw_usage: str = ""
    usage_flags: tuple[str, ...] = ()
    cost: Cost | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    conversation_id: str = ""
    prompt_hash: str = ""
    billing_account: str = ""
    project: str = ""
    api_key_hash: str = ""
    deployment: str = ""
    finish_reasons: tuple[str, ...] = ()
    error_type: str = ""
    status_code: int | None = None
    denied_by: str = ""

    def next_attempt(self, started_at: int) -> Call:
        """The same request tried again: what was asked stays, nothing of the outcome does."""
        return Call(
            provider=self.provider,
            operation=self.operation,
            request_model=self.request_model,
            api=self.api,
            attempt=self.attempt + 1,
            stream=self.stream,
            server_address=self.server_address,
            server_port=self.server_port,
            started_at=started_at,
            max_tokens=self.max_tokens,
            tags=self.tags,
            conversation_id=self.conversation_id,
            prompt_hash=self.prompt_hash,
            billing_account=self.billing_account,
            project=self.project,
            api_key_hash=self.api_key_hash,
            deployment=self.deployment,
        )

    @property
    def model(self) -> str:
        """The model to price: the one that served, else the one asked for."""
        return self.response_model or self.request_model

    @property
    def is_billable(self) -> bool:
        """Whether the call carries usage, paid or estimated: what every report counts as a call."""
        return bool(self.usage) and not self.denied_by
