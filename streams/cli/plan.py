"""``owdd plan``: what another mapping would change in Dotdigital, before it does."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.differences import Compared, Plan, Show, ShowPersonalData, print_differences
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.clock import SystemClock
from streams.core.errors import RefusedError
from streams.mapping import Mapping, load_mapping
from streams.messages.generation_log import known_generations
from streams.operations.generation_diff import Examples
from streams.operations.generations import newest_beside, of_generation
from streams.operations.mapping_sample import MappingSample, SampleResult
from streams.operations.site_setup import differing_keys
from streams.settings import Settings

_SHOWN_CODES = 3


def plan(
    mapping: Annotated[Path, typer.Option("--mapping", help="The new mapping; OWDD_MAPPING is the one in force.")],
    sample: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help="Work it out here, of so many persons. Default: from a rebuild that is complete."
        ),
    ] = None,
    show: Show = 10,
    show_personal_data: ShowPersonalData = False,
    as_json: AsJson = False,
) -> None:
    """Show which contacts, order records, catalogue records and list places another mapping would change, and how.

    Without --sample, from the generation that 'owdd replay rebuild --mapping' has built beside the running one: exact, once it
    is complete. With --sample, in this process from the captured topics: some persons, the same ones every time, with their
    orders, under both mappings; the whole catalogue; numbers for all persons are extrapolated. Nothing is changed. Also shown:
    how many calls and how long it takes under the account's budget (OWDD_BUDGET_HIGH and its siblings).

    Examples: 'owdd plan --mapping new.yaml --sample 5000'; 'owdd plan --mapping new.yaml --json'.

    Exit code 2: something would change; 6: there is no complete generation of this mapping.
    """
    settings, own = load()
    change = Plan(settings, own, load_mapping(mapping), Examples.of(settings, show, personal=show_personal_data))
    result = None
    if sample is None:
        generation = asyncio.run(_complete_generation(settings, change.new, mapping))
        compared = asyncio.run(change.against(generation))
        scope: dict[str, Any] = {"generation": generation}
    else:
        result = asyncio.run(_sampled(change, sample))
        compared = change.compared(result.found, result.factors)
        scope = {"sample": _facts(result)}
    if as_json:
        output.print_json(scope | compared.facts())
    else:
        _print(compared, result)
    if compared.found.differing:
        raise typer.Exit(ExitCode.CHANGES)


async def _complete_generation(settings: Settings, new: Mapping, file: Path) -> int:
    known = await known_generations(settings)
    beside = newest_beside(known)
    if beside is None:
        remedy = f"Begin one with 'owdd replay rebuild --mapping {file}', or add --sample 5000"
        raise RefusedError("no generation is being built", remedy=remedy)
    if keys := await differing_keys(of_generation(settings, beside.number), new):
        shown = ", ".join(keys[:_SHOWN_CODES])
        reason = f"generation {beside.number} is built with another mapping: {shown} differ"
        raise RefusedError(reason, where=f"--mapping {file}", remedy="Add --sample 5000, or rebuild with this mapping")
    if known.reported("complete", beside.number) < settings.partitions:
        reason = f"generation {beside.number} is not complete"
        raise RefusedError(reason, remedy="'owdd replay status' shows how far it is; or add --sample 5000")
    return beside.number


async def _sampled(change: Plan, most: int) -> SampleResult:
    with output.reading("captured records") as shown:
        sample = MappingSample(change.settings, change.now, change.new, most, SystemClock())
        return await sample.run(change.lists, change.examples, shown)


def _facts(result: SampleResult) -> dict[str, Any]:
    now, new = result.unreadable
    return {
        "persons": result.persons,
        "factor": round(result.factor, 3),
        "extrapolated": result.factor > 1,
        "unreadable": {"now": dict(now), "new": dict(new)},
        "missing_topics": result.missing,
    }


def _print(compared: Compared, result: SampleResult | None) -> None:
    if result is not None:
        _print_sample(result)
    print_differences(compared)
    output.line(f"{compared.summary[:1].upper()}{compared.summary[1:]}")


def _print_sample(result: SampleResult) -> None:
    if result.factor > 1:
        output.line(
            f"A sample of {result.persons:,} of about {result.persons * result.factor:,.0f} persons, with their orders, and the"
            f" whole catalogue. Calls, time and what is 'about, in all' are extrapolated: each person stands for"
            f" {result.factor:,.1f}. A difference that nobody in it shows may still concern one in {result.persons // 3:,}."
        )
    else:
        output.line(
            f"All {result.persons:,} persons that the captured topics name, with their orders, and the whole catalogue."
        )
    for topic in result.missing:
        output.warn(f"nothing is captured into {topic}: what depends on it is missing here")
    now, new = result.unreadable
    for code in sorted(new.keys() | now.keys()):
        if new.get(code, 0) != now.get(code, 0):
            output.warn(f"{code}: {new.get(code, 0):,} captured records cannot be read, now {now.get(code, 0):,}")
