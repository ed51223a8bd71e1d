"""Every setting once: its name, its default, its meaning; and how file, environment and flags are read.

A setting `grpc_port` is `grpc_port:` in the file, `OTEL_LLM_COST_GRPC_PORT` in the environment and
`--grpc-port` on the command line. A flag beats the environment, which beats the file; a file is read only
when it is named (`--config` or `OTEL_LLM_COST_CONFIG`). Importing this costs pydantic: never at app start-up.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from otel_llm_cost.budgets.definition import Budget, read_rates, refuse_doubles
from otel_llm_cost.budgets.storm_settings import Breakers
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.marked_yaml import Lines, read_mapping

PREFIX = "OTEL_LLM_COST_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
VARIABLES_ELSEWHERE = frozenset({CONFIG_VARIABLE, f"{PREFIX}RAISE"})
"""Variables of ours that are no settings: the file's name, and a switch for our own test suite."""

DEFAULT_STORE = "chdb://$HOME/.local/share/otel-llm-cost/ledger"
MEBIBYTE = 1024 * 1024


def _with_home(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return re.sub(r"\$HOME\b|\$\{HOME\}", lambda _: str(Path.home()), text)


def _pairs(value: Any) -> Any:
    """`a=b,c=d` as a mapping, which is how a mapping is written in an environment variable."""
    if not isinstance(value, str):
        return value
    pairs = [item.partition("=") for item in value.split(",") if item.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise ValueError("expected key=value pairs with commas between")
    return {key.strip(): text.strip() for key, _, text in pairs}


Port = Annotated[int, Field(ge=0, le=65535)]
Bytes = Annotated[int, Field(gt=0)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
Rates = Annotated[dict[str, Annotated[Decimal, Field(gt=0)]], BeforeValidator(_pairs)]
Location = Annotated[str, BeforeValidator(_with_home)]


class Settings(BaseModel):
    """All settings. A field's description is its line in docs/settings.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    store: Location = Field(
        DEFAULT_STORE,
        repr=False,  # a DSN may hold a password
        description="Where the ledger is: chdb:///folder, or clickhouse://user:password@host:8123/database.",
    )
    host: str = Field("127.0.0.1", description="Address the collector listens on.")
    grpc_port: Port = Field(4317, description="OTLP over gRPC; 0 picks a free port.")
    http_port: Port = Field(4318, description="OTLP over HTTP; 0 picks a free port.")
    ui_port: Port = Field(4319, description="Page, health, metrics and queries; 0 picks a free port.")
    spool: Location = Field(
        "",
        description="Folder of the collector's durable spool; empty means beside the ledger.",
    )
    spool_sync: Literal["full", "normal"] = Field(
        "full",
        description=(
            "full: an acknowledged batch survives power loss. "
            "normal: it survives a crash of the process, the last moments may not survive power loss."
        ),
    )
    spool_max_bytes: Bytes = Field(
        8 * 1024 * MEBIBYTE,
        description="Size at which the collector asks its clients to wait, while the ledger is away.",
    )
    max_request_bytes: Bytes = Field(
        64 * MEBIBYTE, description="Largest OTLP request accepted, after decompression."
    )
    batch_rows: Annotated[int, Field(ge=1, le=200_000)] = Field(
        30_000, description="Most rows in one insert into the ledger."
    )
    batch_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        1.0, description="Longest time a row waits for others before it is inserted."
    )
    dedupe_days: Annotated[int, Field(ge=1, le=400)] = Field(
        35, description="How long a copy of a call is recognised after the first one came."
    )
    price_overrides: Path | None = Field(
        None, description="YAML file with your own prices; they win over every other source."
    )
    prices: list[dict[str, Any]] = Field(
        default_factory=list, description="Your own prices, in the form of the overrides file."
    )
    contract: list[dict[str, Any]] = Field(
        default_factory=list, description="Discounts and fixed rates that you negotiated, dated and scoped."
    )
    providers: dict[str, Any] = Field(
        default_factory=dict,
        description="What opaque names stand for: providers.azure.deployments, providers.bedrock.profiles.",
    )
    trusted_gateways: str = Field(
        "",
        description=(
            "Hosts, with commas between, whose own cost figure (x-litellm-response-cost) counts as reported; "
            "that of others is kept and not used."
        ),
    )
    mode: Literal["auto", "own", "off-span"] = Field(
        "auto",
        description=(
            "Calls that another instrumentation already traces: auto adds enforcement and a usage record, "
            "own replaces its span, off-span makes no span."
        ),
    )
    record: Literal["unsampled", "always"] = Field(
        "unsampled",
        description="When a call also leaves as a log record: when its span is not sampled, or always.",
    )
    tags: Pairs = Field(
        default_factory=dict,
        description="Allocation tags of everything this process does, as team=search,feature=rank.",
    )
    baggage_keys: str = Field(
        "team,feature,environment,customer_id",
        description=(
            "Tags that may cross services in W3C baggage, with commas between; none: none. "
            "LLM providers never get any."
        ),
    )
    metric_tags: str = Field(
        "team,feature,environment",
        description="Tags that are dimensions of metrics; with customer_id, mind the number of series.",
    )
    self_hosted: Pairs = Field(
        default_factory=dict,
        description="Hosts that serve models themselves, and the provider name to book them under.",
    )
    budgets: tuple[Budget, ...] = Field((), description="What may be spent, by whom; see docs/budgets.md.")
    budget_store: Location = Field(
        "",
        repr=False,  # a DSN may hold a password
        description=(
            "Where budgets are kept: sqlite:///file, redis://host:6379/0, or memory:// for one process. "
            "Empty: a file beside the default ledger where `budgets` are given, else no budgets."
        ),
    )
    breakers: Breakers | None = Field(
        None,
        description="What stops runaway loops and retry storms, `{}` for the defaults; see docs/budgets.md.",
    )
    currency_rates: Rates = Field(
        default_factory=dict,
        description="USD for one of each other currency that a budget's limit is given in.",
    )

    _no_doubles = field_validator("budgets")(refuse_doubles)


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of this process. An override of None, like an empty variable, is not a value.

    Raises ConfigError naming the file and line (or variable, or flag), the key and what was expected, and
    MissingExtra when a file is named and no YAML reader is installed.
    """
    environ = os.environ if environ is None else environ
    file = file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    lines: Lines = {}
    if file is not None:
        values, lines = read_mapping(file)
        _refuse_unknown(values, lines, file)
        _refuse_wrong_prices(values, lines, file)
        places = dict.fromkeys(values, str(file))
    for name in Settings.model_fields:
        if text := environ.get(variable(name)):
            values[name], places[name] = text, variable(name)
        if overrides and overrides.get(name) is not None:
            values[name], places[name] = overrides[name], f"--{name.replace('_', '-')}"
    try:
        return Settings.model_validate(values, context=read_rates(values.get("currency_rates")))
    except ValidationError as error:
        sentences = (_explain(details, places, lines) for details in error.errors(include_url=False))
        raise ConfigError("; ".join(sentences)) from None


def _refuse_wrong_prices(values: Mapping[str, Any], lines: Lines, file: Path) -> None:
    """Price sections are read by pricing, which knows their form; here, while their lines are known."""
    sections = {name: values[name] for name in ("prices", "contract", "providers") if values.get(name)}
    if sections:
        from otel_llm_cost.pricing.facts_file import parse  # only who has prices pays for it
        from otel_llm_cost.pricing.fields import Place

        parse(sections, Place(str(file), lines), "override")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def unknown_variables(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables with our prefix that mean nothing, each with the nearest one that does (or empty)."""
    known = {variable(name) for name in Settings.model_fields} | VARIABLES_ELSEWHERE
    return [
        (name, _nearest(name, known)) for name in environ if name.startswith(PREFIX) and name not in known
    ]


def redact(dsn: str) -> str:
    """A store's DSN without its password, for messages and `doctor`."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", dsn)


def settings_table() -> str:
    """docs/settings.md: every setting, from this file."""
    rows = [
        f"| `{name}` | `{variable(name)}` | {_shown_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        (
            "# Settings",
            "",
            "Generated from `config.py` by `make golden`.",
            "",
            (
                "A flag (`--grpc-port`) beats the environment variable, which beats the configuration file. "
                "A file is read only when `--config` or `OTEL_LLM_COST_CONFIG` names it."
            ),
            "",
            "| key in the file | environment variable | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


def _shown_default(default: Any) -> str:
    return f"`{default}`" if isinstance(default, str | int | float) and default != "" else "none"


def _refuse_unknown(values: Mapping[str, Any], lines: Lines, file: Path) -> None:
    for name in values:
        if name not in Settings.model_fields:
            nearest = _nearest(name, Settings.model_fields)
            hint = f"did you mean {nearest}?" if nearest else "the settings are listed in docs/settings.md"
            raise ConfigError(f"{file}:{lines.get((name,), 1)}: unknown key {name}; {hint}")


def _explain(details: Any, places: Mapping[str, str], lines: Lines) -> str:
    """`FILE:LINE: key: expected …` or `VARIABLE: expected …`; never the value, which may be a secret."""
    path: tuple[str | int, ...] = details["loc"]
    place = places.get(str(path[0]), "default")
    key = ".".join(str(part) for part in path)
    if place.startswith((PREFIX, "--")):
        where = place
    else:
        line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)
        where = f"{place}:{line}: {key}"
    return f"{where}: {_expected(details)}"


def _expected(details: Any) -> str:
    message = str(details["msg"]).removeprefix("Value error, ")
    message = message.partition(", unable to parse")[0]  # that half speaks of Python's types
    return message.replace("Input should be", "expected").replace("valid integer", "whole number")


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), "")


def choices(name: str) -> tuple[str, ...]:
    """What a setting with a closed list of values may be; empty for the others."""
    annotation = Settings.model_fields[name].annotation
    return tuple(text for text in get_args(annotation) if isinstance(text, str))


if __name__ == "__main__":
    print(settings_table(), end="")  # noqa: T201 - its output is the file
