"""`otel-llm-cost budget`: see, check, set, raise and import budgets; compare them with the ledger."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import click

from otel_llm_cost import config
from otel_llm_cost.budgets.definition import Budget, parse_limit, read_budget, read_rates, refuse_doubles
from otel_llm_cost.budgets.lease import Definitions, Raise, Store, StoreAway
from otel_llm_cost.budgets.opening import shared_store, store_dsn
from otel_llm_cost.budgets.rules import Rules
from otel_llm_cost.cli import budget_forms
from otel_llm_cost.cli.budget_ledger import import_, reconcile, replay
from otel_llm_cost.cli.options import format_options, read_moment
from otel_llm_cost.core.errors import ConfigError, StoreError

Command = TypeVar("Command", bound=Callable[..., Any])
FORMS = ("table", "json")


class Desk:
    """What every subcommand works with: the settings, the store, the budgets in force."""

    def __init__(self, file: Path | None, store: str | None) -> None:
        self.settings = config.load(file, overrides={"budget_store": store})
        self.dsn = store_dsn(self.settings.budget_store)
        self.store: Store = shared_store(self.settings.budget_store)

    def definitions(self) -> Definitions:
        """What the store says. Raises StoreError when it does not answer."""
        definitions: Definitions = self.ask(self.store.definitions)
        return definitions

    def budgets(self) -> dict[str, Budget]:
        """The budgets in force by name: the file's, with the store's on top."""
        budgets = {budget.name: budget for budget in self.settings.budgets}
        for name, text in self.definitions().budgets:
            if text:
                budgets[name] = Budget.model_validate_json(text)
            else:
                budgets.pop(name, None)
        return budgets

    def rules(self) -> Rules:
        """The budgets in force, with raises."""
        return Rules(self.budgets().values(), self.definitions().raises)

    def named(self, name: str) -> Budget:
        """One budget. Raises ConfigError naming the nearest when there is none of that name."""
        budgets = self.budgets()
        if name not in budgets:
            from otel_llm_cost.budgets.names import nearest

            near = nearest(name, budgets)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(budgets) or 'none'}"
            raise ConfigError(f"there is no budget {name}; {hint}")
        return budgets[name]

    def ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """What the store answers. Raises StoreError when it does not."""
        try:
            return question(*arguments)
        except StoreAway as error:
            raise StoreError(f"the budget store {config.redact(self.dsn)} does not answer: {error}") from None


@click.group()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="The configuration file; else OTEL_LLM_COST_CONFIG.",
)
@click.option("--budget-store", "store", metavar="DSN", help="Where budgets are kept; else as configured.")
@click.pass_context
def budget(ctx: click.Context, file: Path | None, store: str | None) -> None:
    """See, check, set, raise and import budgets; compare them with the ledger."""
    ctx.obj = lambda: Desk(file, store)  # not before the subcommand runs: `--help` opens no store


@budget.command("list")
@format_options(*FORMS)
@click.pass_obj
def list_(desk: Callable[[], Desk], form: str) -> None:
    """Show every budget and account: limit, spent, reserved, left, and when it starts over."""
    here = desk()
    rows = budget_forms.accounts(here.rules(), here.ask(here.store.states), _now())
    click.echo(budget_forms.show(rows, budget_forms.ACCOUNT, form, "budgets"), nl=False)


@budget.command()
@click.argument("names", nargs=-1)
@click.option("--tags", default="", metavar="KEY=VALUE,…", help="Tags of the call in question.")
@click.option("--provider", default="", help="Its provider.")
@click.option("--model", default="", help="Its model.")
@click.option("--service", default="", help="The service that makes it.")
@click.option("--need", default="", metavar="LIMIT", help="What it may need, as 0.50 USD or 2000 tokens.")
@format_options(*FORMS)
@click.pass_obj
def check(
    desk: Callable[[], Desk],
    names: tuple[str, ...],
    tags: str,
    provider: str,
    model: str,
    service: str,
    need: str,
    form: str,
) -> None:
    """Say whether there is room: exit code 1 when a budget that blocks says no.

    With NAMES, those budgets' accounts are looked at; with facts of a call, the budgets it must agree with.
    """
    here = desk()
    rules = here.rules()
    wanted = _need(need, here)
    for name in names:
        here.named(name)
    facts = _pairs(tags)
    states = here.ask(here.store.states)
    if facts or provider or model or service:
        lifetimes = {key: facts.get(key, "") for key in rules.lifetimes}
        facets = rules.facets(provider, model, service, "chat", facts, lifetimes)
        rows = budget_forms.matching(rules, states, facets, _now())
    else:
        rows = budget_forms.accounts(rules, states, _now())
    rows = [row for row in rows if not names or row["budget"] in names]
    for row in rows:
        row["allowed"] = budget_forms.has_room(row, wanted)
    allowed = all(row["allowed"] or row["action"] != "block" for row in rows)
    click.echo(
        budget_forms.show(rows, (*budget_forms.ACCOUNT, "allowed"), form, "budgets", allowed=allowed),
        nl=False,
    )
    if not allowed:
        raise click.exceptions.Exit(1)


@budget.command("set")
@click.argument("name", required=False)
@click.option("--file", "source", type=click.Path(path_type=Path), help="Set every budget of this YAML file.")
@click.option("--limit", help="500 USD, 2M tokens, 1000 calls.")
@click.option("--match", "matches", multiple=True, metavar="KEY=VALUE", help="Which calls; may be repeated.")
@click.option(
    "--per", help="Tags with one account per value, commas between; or trace, session, conversation."
)
@click.option("--window", help="hour, day, week, month, quarter, `rolling 24h`, or never.")
@click.option("--timezone", "zone", help="Of a calendar window, as Europe/Berlin.")
@click.option("--action", help="block, warn, degrade, cap_output.")
@click.option("--degrade-to", help="The cheaper model of the action degrade.")
@click.option("--contact", help="Who to ask for more.")
@click.option("--remove", is_flag=True, help="Take the budget out of force everywhere.")
@click.option("--reason", default="", help="Kept in the history.")
@click.pass_obj
def set_(
    desk: Callable[[], Desk],
    /,
    name: str | None,
    source: Path | None,
    reason: str,
    remove: bool,
    **given: Any,
) -> None:
    """Set a budget for all running processes, which see it within five seconds."""
    here = desk()
    if (name is None) == (source is None):
        raise click.UsageError("give either the NAME of one budget or --file with several")
    if source is not None:
        budgets = read_file(source)
        for each in budgets:
            here.ask(here.store.define, each.name, each.model_dump_json(), _who(), reason)
        click.echo(f"otel-llm-cost: set {len(budgets)} budgets in {config.redact(here.dsn)}", err=True)
        return
    assert name is not None
    if remove:
        here.named(name)
        here.ask(here.store.define, name, "", _who(), reason)
        return
    before = here.budgets().get(name)
    values = {} if before is None else before.model_dump(mode="json", exclude_defaults=True)
    values |= _given(name, given, values)
    here.ask(
        here.store.define,
        name,
        read_budget(values, here.settings.currency_rates).model_dump_json(),
        _who(),
        reason,
    )


def _given(name: str, given: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"name": name}
    for key in ("limit", "action", "degrade_to", "contact"):
        if given[key] is not None:
            values[key] = given[key]
    if given["matches"]:
        values["match"] = {}
        for pair in given["matches"]:
            for key, value in _pairs(pair).items():
                values["match"].setdefault(key, []).append(value)
    if given["per"] is not None:
        values["per"] = [key.strip() for key in given["per"].split(",") if key.strip()]
    if given["window"] is not None:
        values["window"] = given["window"]
    if given["zone"] is not None:
        every = given["window"] or (before.get("window") or {}).get("every") or "month"
        values["window"] = {"every": every, "timezone": given["zone"]}
    return values


@budget.command("raise")
@click.argument("name")
@click.option("--by", required=True, help="How much, as 500 USD; in the measure of the budget.")
@click.option("--until", required=True, callback=read_moment, metavar="TIME", help="When it ends.")
@click.option("--reason", required=True, help="Kept in the history.")
@click.pass_obj
def raise_(desk: Callable[[], Desk], name: str, by: str, until: datetime, reason: str) -> None:
    """Raise a budget's limit for a while; who, when and why are kept."""
    here = desk()
    measure = here.named(name).limit.measure
    more = _limit(by, here)
    if more.measure != measure and not by.strip().replace(".", "", 1).isdigit():
        raise click.UsageError(f"budget {name} is in {measure}, so --by must be, too")
    amount = more.amount if more.measure == measure else int(float(by))
    now = _now()
    if until.timestamp() <= now:
        raise click.UsageError("--until lies in the past")
    here.ask(here.store.add_raise, Raise(name, amount, int(until.timestamp()), reason, _who(), now))


@budget.command()
@format_options(*FORMS)
@click.pass_obj
def history(desk: Callable[[], Desk], form: str) -> None:
    """Show every change of a budget: when, who, what, why."""
    here = desk()
    rows = [
        {"at": budget_forms.instant(at), "who": who, "budget": name, "change": what}
        for at, who, name, what in here.ask(here.store.history)
    ]
    click.echo(budget_forms.show(rows, ("at", "who", "budget", "change"), form, "changes"), nl=False)


budget.add_command(import_)
budget.add_command(reconcile)
budget.add_command(replay)


def read_file(file: Path) -> tuple[Budget, ...]:
    """The budgets of a YAML file with `budgets:`. Raises ConfigError naming file, line and key."""
    from otel_llm_cost.marked_yaml import read_mapping

    values, lines = read_mapping(file)
    rates = read_rates(values.get("currency_rates"))
    items = values.get("budgets")
    if not isinstance(items, list):
        raise ConfigError(f"{file}:1: expected `budgets:` with a list below it")
    budgets = []
    for index, item in enumerate(items):
        budgets.append(
            read_budget(item, rates, f"{file}:{lines.get(('budgets', index), 1)}: budgets[{index}]")
        )
    try:
        return refuse_doubles(tuple(budgets))
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None


def _need(text: str, desk: Desk) -> dict[str, int]:
    if not text:
        return {}
    limit = _limit(text, desk)
    return {limit.measure: limit.amount}


def _limit(text: str, desk: Desk) -> Any:
    try:
        return parse_limit(text, desk.settings.currency_rates)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _pairs(text: str) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in text.split(",") if entry.strip()]
    for key, equals, value in pairs:
        if not equals or not key.strip() or not value.strip():
            raise click.UsageError(f"cannot read {text!r}; write key=value, with commas between several")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return "unknown"


def _now() -> int:
    return int(datetime.now(timezone.utc).timestamp())
