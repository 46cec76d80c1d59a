"""``owdd contact``: why a contact is as it is. Personal data is printed here, and nowhere else."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson
from streams.core.errors import OwddError
from streams.messages.dead_letters import keyed_hash
from streams.operations.story import Story
from streams.operations.story_reading import Stories

app = command_group("One contact: what it should be and is, why, and what happened.")

Who = Annotated[str, typer.Argument(help="An e-mail address, or the number of an account or order.")]
Operator = Annotated[str | None, typer.Option(help="Your name, for the workers' access log. Default: the system's user.")]


@app.callback()
def _group() -> None:
    """One contact: what it should be and is, why, and what happened."""


@app.command()
def show(
    who: Who,
    live: Annotated[bool, typer.Option("--live", help="Ask Dotdigital what it has now, by one call.")] = False,
    operator: Operator = None,
    as_json: AsJson = False,
) -> None:
    """Show a contact: desired beside delivered, what waits, and what is set aside.

    The workers that OWDD_WORKERS names are asked, with OWDD_STATE_TOKEN. Exit code 0: Dotdigital has what Orderwise says; 2:
    it has not (yet), or something is set aside.

    Examples: owdd contact show ann@example.com · owdd contact show SO1001 --live
    """
    story = _story(who, operator, live=live)
    if as_json:
        output.print_json(asdict(story))
    else:
        _head(story)
        output.print_table(
            ("field", "should be", "is in Dotdigital", ""),
            [(one.name, one.desired, _delivered(one.delivered), _mark(one.differs)) for one in story.fields],
        )
        rows = [(one.what, one.state, one.lane, _time(one.due), _time(one.since)) for one in story.deliveries]
        output.print_table(("delivery", "state", "lane", "due", "changed"), rows)
        _holds(story)
    if story.verdict.level in ("waiting", "attention"):
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def why(who: Who, operator: Operator = None, as_json: AsJson = False) -> None:
    """Show why: the rule that gave each field its value, and every account, order and consent statement behind it."""
    story = _story(who, operator)
    if as_json:
        output.print_json({"fields": [asdict(one) for one in story.fields], "inputs": [asdict(one) for one in story.inputs]})
        return
    _head(story)
    fields = [(one.name, one.desired, one.rule, one.origin) for one in story.fields]
    output.print_table(("field", "value", "rule", "from"), fields)
    rows = [(one.kind, one.title, _facts(one.facts), one.position, _time(one.applied_at)) for one in story.inputs]
    output.print_table(("input", "what", "says", "position", "applied"), rows)


@app.command()
def history(who: Who, operator: Operator = None, as_json: AsJson = False) -> None:
    """Show what happened, the newest first: orders, what we learnt and when, calls and their outcomes."""
    story = _story(who, operator)
    if as_json:
        output.print_json([asdict(one) for one in story.timeline])
        return
    _head(story)
    output.print_table(("when", "what", ""), [(_time(one.at), one.title, one.detail) for one in story.timeline])


def _story(who: str, operator: str | None, *, live: bool = False) -> Story:
    return asyncio.run(_read(who, operator, live=live))


async def _read(who: str, operator: str | None, *, live: bool) -> Story:
    settings, mapping = load()
    by = keyed_hash(operator_name(operator).encode(), settings.hash_key.get_secret_value().encode())
    async with Stories(settings, mapping, by) as stories:
        result = await stories.search(who)
        for gap in result.gaps:
            output.warn(f"not searched: {gap}")
        if not result.emails:
            found = "it has no address" if result.found else "no account or order has this number"
            raise OwddError(found, where=who, remedy="Search by e-mail address")
        if len(result.emails) > 1:
            raise OwddError(f"it leads to {len(result.emails)} contacts: {', '.join(result.emails[:20])}", where=who)
        return await stories.read(result.emails[0], live=live)


def _head(story: Story) -> None:
    output.line(f"{story.email}: {story.verdict.headline}.{f' {story.verdict.detail}' if story.verdict.detail else ''}")
    for name, value in story.facts.items():
        output.line(f"{name}: {value}")
    for gap in story.gaps:
        output.warn(gap)


def _holds(story: Story) -> None:
    for one in story.holds:
        output.line(f"! {one.what} {one.kind} ({one.code}): {one.words} {one.remedy} See '{one.command}'.")


def _facts(facts: dict[str, str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in facts.items())


def _delivered(value: str | None) -> str:
    return "not known: --live asks" if value is None else value


def _mark(differs: bool | None) -> str:
    return "" if differs is None else "differs" if differs else "same"


def _time(millis: int | None) -> str:
    return "" if millis is None else datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
