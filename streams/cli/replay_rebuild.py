"""``owdd replay rebuild``, ``back`` and ``clean``: the joins anew beside those that work, and the switch between them."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.differences import Compared, Plan, Show, ShowPersonalData, print_differences
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson, Execute, ShowProgress
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.core.errors import RefusedError
from streams.core.text import age
from streams.kafka.producer import BatchProducer
from streams.mapping import load_mapping
from streams.messages.generation_log import KnownGenerations, known_generations
from streams.messages.generations import Activation, Generation
from streams.operations.generation_diff import Examples
from streams.operations.generation_progress import BuildProgress, build_progress
from streams.operations.generations import GenerationOrders, of_generation
from streams.operations.site_setup import accept_mapping, has_setup
from streams.settings import Settings

Operator = Annotated[str | None, typer.Option("--operator", help="Your name, for the audit trail. Default: the system's user.")]
Timeout = Annotated[float, typer.Option(min=0, help="Longest wait, in seconds; the work goes on without the command.")]
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Rebuild:
    """What a rebuild is at: its generation, how far that is, and once it is complete what a switch would change.

    ``switching``: an earlier call has let it take effect, and not every partition of the outbox has followed yet.
    """

    generation: Generation
    progress: BuildProgress
    compared: Compared | None = None
    switching: Activation | None = None


def rebuild(
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="The new mapping. Default: OWDD_MAPPING, to build the same again.")
    ] = None,
    timeout: Timeout = 3600.0,
    show: Show = 10,
    show_personal_data: ShowPersonalData = False,
    operator: Operator = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Build all state of the joins anew, beside the joins that work, and compare; with --execute let it take effect.

    The first call makes the topics of a new generation, and says which workers must be started for it; nothing that they want
    has an effect. Later calls go on with it, also with a switch that an interrupted one began. When it is complete, the command
    shows what would change in Dotdigital, and how many calls and how long that takes under the account's budget. Exit code 2:
    it is complete, something would change, and --execute was not given; 7: it is not complete yet.
    """
    settings, own = load()
    wanted = own if mapping is None else load_mapping(mapping)
    plan = Plan(settings, own, wanted, Examples.of(settings, show, personal=show_personal_data))
    found = asyncio.run(_rebuild(plan, operator_name(operator), timeout))
    activation = found.switching
    if found.progress.done and execute:
        activation = asyncio.run(_activate(settings, found.generation.number, operator_name(operator), timeout))
    _print(found, activation, as_json=as_json)
    if not found.progress.done:
        raise typer.Exit(ExitCode.UNFINISHED)
    if activation is None and found.compared is not None and found.compared.found.differing:
        raise typer.Exit(ExitCode.CHANGES)


def back(timeout: Timeout = 600.0, operator: Operator = None, execute: Execute = False, as_json: AsJson = False) -> None:
    """Let the generation take effect again that did before the last switch; its workers have gone on until now.

    If an interrupted call has begun that already, this one goes on with it; after one that is done, it leads forth again.
    Exit code 2: there is one, and --execute was not
    given.
    """
    settings, _ = load()
    known = asyncio.run(known_generations(settings))
    under_way = known.activation.back and known.is_switching(settings.partitions)
    former = known.activation.generation if under_way else _former(known)
    if former is None:
        raise RefusedError("no other generation has ever taken effect, or it was cleaned away")
    if not execute:
        _say({"generation": former, "activation": None}, f"Generation {former} would take effect again.", as_json=as_json)
        raise typer.Exit(ExitCode.CHANGES)
    activation = asyncio.run(_activate(settings, former, operator_name(operator), timeout, back=True))
    _say(
        {"generation": former, "activation": activation.number},
        f"Generation {former} takes effect again (activation {activation.number}).",
        as_json=as_json,
    )


def clean(operator: Operator = None, execute: Execute = False, as_json: AsJson = False) -> None:
    """Forget every generation that does not take effect: what it wants, and its topics. Its workers must be stopped.

    There is no way back afterwards. Exit code 2: there is one, and --execute was not given.
    """
    settings, _ = load()
    known = asyncio.run(known_generations(settings))
    others = [number for number in known.working if number != known.activation.generation]
    if others and execute:
        asyncio.run(_clean(settings, known, others, operator_name(operator)))
    names = ", ".join(map(str, others))
    text = f"Generations {names}: {'cleaned away' if execute else 'would be cleaned away'}." if others else "Nothing to clean."
    _say({"generations": others, "executed": bool(others) and execute}, text, as_json=as_json)
    if others and not execute:
        raise typer.Exit(ExitCode.CHANGES)


async def generation_facts(settings: Settings, now_ms: int) -> list[dict[str, Any]]:
    """The generations as ``owdd replay status`` shows them, beside the replays.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    known, facts = await known_generations(settings), []
    for number, generation in sorted(known.generations.items()):
        if not number or generation.dropped:
            continue
        progress = await build_progress(settings, known, generation)
        # At the pace since it began: whoever asks has seen nothing of it before.
        left = progress.seconds_left((now_ms - generation.began) / 1000, 0)
        facts.append(
            {
                "id": f"generation {number}",
                "state": _state(settings, known, number),
                "wanted": None,
                "by": generation.by,
                "began": shown_time(generation.began),
                "rows": progress.total,
                "sent": progress.read,
                "rate": None,
                "seconds_left": None if progress.done or left is None else round(left),
            }
        )
    return facts


def _state(settings: Settings, known: KnownGenerations, number: int) -> str:
    activation = known.activation
    if number == activation.generation:
        switched = known.reported("switched", activation.number) == settings.partitions
        return "active" if switched else "taking effect"
    return "complete" if known.reported("complete", number) == settings.partitions else "building"


def _former(known: KnownGenerations) -> int | None:
    """The generation that took effect before the active one, if its workers may still run."""
    ever = [(known.generations[one].activated if one in known.generations else 0, one) for one in known.working]
    others = [(at, one) for at, one in ever if one != known.activation.generation and (at or not one)]
    return max(others)[1] if others else None


async def _rebuild(plan: Plan, by: str, timeout: float) -> _Rebuild:
    settings, mapping, clock = plan.settings, plan.new, SystemClock()
    async with BatchProducer(settings) as producer:
        orders = GenerationOrders(settings, producer, clock, by)
        known = await known_generations(settings)
        await orders.repeat(known)
        switching = known.activation if known.is_switching(settings.partitions) and not known.activation.back else None
        if switching is not None:
            generation = known.generations[switching.generation]
            return _Rebuild(generation, await build_progress(settings, known, generation), switching=switching)
        generation = await orders.begin(known, mapping)
    its = of_generation(settings, generation.number)
    if not await has_setup(its):
        # Before its workers: one with another mapping is refused.
        await accept_mapping(its, mapping, clock)
    if not (await build_progress(settings, await known_generations(settings), generation)).done:
        _say_how(generation, begins=generation.number not in known.generations)
    with output.progress(f"generation {generation.number}") as shown:
        progress = await _built(settings, generation, timeout, shown)
        if not progress.done:
            return _Rebuild(generation, progress)
        shown(f"generation {generation.number}: comparing")
        return _Rebuild(generation, progress, await plan.against(generation.number))


def _say_how(generation: Generation, *, begins: bool) -> None:
    name = f"Generation {generation.number}{' begins' if begins else ''}"
    output.note(
        f"{name}: run ingest and agents once more with OWDD_GENERATION={generation.number}, a data"
        " directory of their own, and its mapping (OWDD_MAPPING). Leave OWDD_CONNECT_URL out."
    )


async def _built(settings: Settings, generation: Generation, timeout: float, shown: ShowProgress) -> BuildProgress:
    loop = asyncio.get_running_loop()
    began, first = loop.time(), None
    while True:
        progress = await build_progress(settings, await known_generations(settings), generation)
        first = progress.read if first is None else first
        left = progress.seconds_left(loop.time() - began, first)
        eta = "" if left is None else f", about {age(left)} left"
        shown(
            f"generation {generation.number}: {progress.read:,} of {progress.total:,} captured records{eta};"
            f" {progress.complete} of {progress.partitions} partitions complete"
        )
        if progress.done or loop.time() - began >= timeout:
            return progress
        await asyncio.sleep(_LOOK_SECONDS)


async def _activate(settings: Settings, generation: int, by: str, timeout: float, *, back: bool = False) -> Activation:
    async with BatchProducer(settings) as producer:
        orders = GenerationOrders(settings, producer, SystemClock(), by)
        activation = await orders.activate(await known_generations(settings), generation, back=back)
    deadline = asyncio.get_running_loop().time() + timeout
    with output.counting(f"activation {activation.number}", settings.partitions) as counted:
        while (switched := (await known_generations(settings)).reported("switched", activation.number)) < settings.partitions:
            counted(switched)
            if asyncio.get_running_loop().time() > deadline:
                output.warn("not every partition of the outbox has switched yet; dispatch goes on with it. Does it run?")
                break
            await asyncio.sleep(_LOOK_SECONDS)
    return activation


async def _clean(settings: Settings, known: KnownGenerations, others: list[int], by: str) -> None:
    async with BatchProducer(settings) as producer:
        orders = GenerationOrders(settings, producer, SystemClock(), by)
        for generation in others:
            await orders.drop(known, generation)


def _print(found: _Rebuild, activation: Activation | None, *, as_json: bool) -> None:
    number, progress = found.generation.number, found.progress
    if as_json:
        facts = {"generation": number, **asdict(progress), "done": progress.done}
        compared = None if found.compared is None else found.compared.facts()
        output.print_json(facts | {"differences": compared, "activation": None if activation is None else activation.number})
        return
    if found.switching is not None:
        output.line(f"Generation {number} takes effect: an earlier call began it (activation {found.switching.number}).")
        return
    if found.compared is None:
        output.line(f"Generation {number} is not complete: {progress.read:,} of {progress.total:,} captured records were read.")
        return
    print_differences(found.compared)
    what = found.compared.summary
    done = "Add --execute to let it take effect" if activation is None else f"It takes effect (activation {activation.number})"
    output.line(f"Generation {number} is complete: {what} {done}.")


def _say(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json(facts)
    else:
        output.line(text)
