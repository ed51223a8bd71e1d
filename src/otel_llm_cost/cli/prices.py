"""`otel-llm-cost prices`: what a model costs and when, and how your own prices are kept fresh."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from otel_llm_cost import config
from otel_llm_cost.cli.options import JSON, TEXT, format_options, read_moment
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import ConfigError, LLMCostError
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.pricing.calendar import instant, nanoseconds
from otel_llm_cost.pricing.match import PROVIDERS, provider_name
from otel_llm_cost.pricing.vector import FOREVER, Rate, Vector

MOST_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 30


class NoSuchPrice(LLMCostError):  # noqa: N818 - it is read as a fact
    """No provider that we know has a price for the model."""


@click.group()
def prices() -> None:
    """Show prices, compare your own with the published ones, and put a new file of them in place."""


@prices.command()
@click.argument("model")
@click.option("--provider", metavar="NAME", help="Whose price; without it, everyone's who has the model.")
@click.option("--at", callback=read_moment, metavar="TIME", help="When. Default: now.")
@click.option("--term", multiple=True, metavar="KEY=VALUE", help="As service_tier=flex; may be repeated.")
@format_options(TEXT, JSON)
def show(model: str, provider: str | None, at: datetime | None, term: tuple[str, ...], form: str) -> None:
    """Show the rates of MODEL, and from when to when they hold."""
    listed = PriceList.of_settings(config.load())
    moment = nanoseconds(at or datetime.now(timezone.utc))
    if wrong := next((pair for pair in term if "=" not in pair), None):
        raise click.UsageError(f"--term {wrong}: expected key=value")
    terms = {key: value for key, _, value in (pair.partition("=") for pair in term)}
    names = [provider_name(provider)] if provider else list(PROVIDERS)
    vectors = [_vector(listed, name, model, moment, terms) for name in names]
    found = [vector for vector in vectors if not vector.unpriced]
    if not found:
        everyone = f"no provider that is known has a price for {model} then"
        raise NoSuchPrice(vectors[0].unpriced if provider else everyone)
    if form == JSON:
        click.echo(json.dumps([_shown(vector) for vector in found], indent=2))
        return
    click.echo("\n\n".join("\n".join(_lines(vector)) for vector in found))


@prices.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@format_options(TEXT, JSON)
def diff(file: Path, form: str) -> None:
    """Compare the prices in FILE with those that hold now without it. Exit code 1 when any differ."""
    changes = list(_changes(PriceList.of_settings(config.load()), PriceList.load(file)))
    if form == JSON:
        click.echo(json.dumps(changes, indent=2))
    else:
        for change in changes:
            click.echo(
                f"{change['provider']} {change['model']} {change['unit']}: "
                f"{change['now'] or 'no price'} → {change['then']} USD for {change['per']:,}"
            )
        if not changes:
            click.echo("no difference")
    if changes:
        raise click.exceptions.Exit(1)


@prices.command()
@click.argument("source")
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to replace, else the price_overrides of the config.",
)
def update(source: str, to: Path | None) -> None:
    """Put the price file SOURCE (a file or an http(s) URL) in place, if it is valid.

    The old file is kept beside it as FILE.previous; nobody ever reads half a file.
    """
    target = to or config.load().price_overrides
    if target is None:
        raise click.UsageError("give --to FILE, or name a file as price_overrides in the config")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".prices-") as folder:
        fresh = Path(folder) / target.name
        fresh.write_bytes(_read(source))
        try:
            version = PriceList.load(fresh).version
        except ConfigError as error:
            raise ConfigError(f"not taken: {str(error).replace(str(fresh), source)}") from None
        if target.exists():
            kept = target.with_name(f"{target.name}.previous")
            shutil.copy2(target, Path(folder) / "previous")
            (Path(folder) / "previous").replace(kept)
        fresh.replace(target)
    click.echo(f"{target}: {version}")


def _read(source: str) -> bytes:
    if not source.startswith(("https://", "http://")):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise click.UsageError(f"{source}: {error.strerror or 'cannot be read'}") from None
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(source, timeout=TIMEOUT_S) as answer:  # noqa: S310 - http(s), as checked
            body: bytes = answer.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise LLMCostError(f"{source} cannot be fetched: {error}") from None
    if len(body) > MOST_BYTES:
        raise LLMCostError(f"{source} is larger than {MOST_BYTES:,} bytes; a price file is not")
    return body


def _vector(listed: PriceList, provider: str, model: str, moment: int, terms: dict[str, str]) -> Vector:
    return listed.vector(Call(provider=provider, request_model=model, started_at=moment, terms=terms))


def _changes(now: PriceList, then: PriceList) -> Iterator[dict[str, Any]]:
    """Rates that the facts of `then` would change today."""
    moment = nanoseconds(datetime.now(timezone.utc))
    for provider, model in dict.fromkeys(then.own_models()):
        before, after = (_vector(listed, provider, model, moment, {}) for listed in (now, then))
        for unit, rate in after.base.items():
            known = before.base.get(unit)
            if known is None or _each(known) != _each(rate):
                yield {
                    "provider": provider,
                    "model": model,
                    "unit": unit,
                    "now": None if known is None else _plain(known),
                    "then": _plain(rate),
                    "per": rate.per,
                }


def _each(rate: Rate) -> Fraction:
    return Fraction(rate.numerator, rate.denominator)


def _plain(rate: Rate) -> str:
    text = f"{rate.price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(vector: Vector) -> dict[str, Any]:
    return {
        "provider": vector.provider,
        "model": vector.model,
        "price_id": vector.price_id,
        "source": vector.price_source,
        "version": vector.price_version,
        "from": _date(vector.valid_from),
        "until": _date(vector.valid_until),
        "doubt": vector.doubt or vector.estimated,
        "rates": [
            {"above_tokens": threshold, "unit": unit, "usd": _plain(rate), "per": rate.per}
            for threshold, rates in ((0, vector.base), *reversed(vector.tiers))
            for unit, rate in rates.items()
        ],
    }


def _date(moment: int) -> str | None:
    return None if moment <= 1 or moment >= FOREVER else instant(moment).isoformat()


def _lines(vector: Vector) -> Iterator[str]:
    shown = _shown(vector)
    yield f"{vector.provider} {vector.model}: {vector.price_id}, from {vector.price_source}"
    yield f"  {vector.price_version}"
    if shown["from"] or shown["until"]:
        yield f"  holds from {shown['from'] or 'the first'} until {shown['until'] or 'further notice'}"
    if shown["doubt"]:
        yield f"  {shown['doubt']}"
    for line in shown["rates"]:
        above = f" for prompts above {line['above_tokens']:,} tokens" if line["above_tokens"] else ""
        yield f"  {line['unit']:<24} {line['usd']:>12} USD / {line['per']:,}{above}"
