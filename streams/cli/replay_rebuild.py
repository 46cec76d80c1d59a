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
from streams.mapping import Mapping, load_mapping
from streams.messages.generation_log import KnownGenerations, known_generations
from streams.messages.generations import Activation, Generation
from streams.operations.generation_diff import Examples
from streams.operations.generation_progress import BuildProgress, build_progress
from streams.operations.generations import GenerationOrders, newest_beside, of_generation, way_back
from streams.operations.site_setup import accept_mapping, has_setup, is_built_with
from streams.settings import Settings

Operator = Annotated[str | None, typer.Option("--operator", help="Your name, for the audit trail. Default: the system's user.")]
Timeout = Annotated[float, typer.Option(min=0, help="Longest wait, in seconds; the work goes on without the command.")]
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Rebuild:
    """What a rebuild is at: its generation, how far that is, and once it is complete what a switch would change.

    ``activation``: an earlier call has let it take effect; ``switched``: every partition of the outbox has followed.
    """

    generation: Generation
    progress: BuildProgress
    compared: Compared | None = None
    activation: Activation | None = None
    switched: bool = False


def rebuild(
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="The new mapping. Default: OWDD_MAPPING, to build the same again.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Begin a generation also when one with this mapping has taken effect already.")
    ] = False,
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
    shows what would change in Dotdigital, and how many calls and how long that takes under the account's budget. After the
    switch the same command says that it has taken effect, and changes nothing. Exit code 2: it is complete, something would
    change, and --execute was not given; 6: the generation that is being built has another mapping; 7: it is not complete yet.
    """
    settings, own = load()
    wanted = own if mapping is None else load_mapping(mapping)
    plan = Plan(settings, own, wanted, Examples.of(settings, show, personal=show_personal_data))
    found = asyncio.run(_rebuild(plan, operator_name(operator), timeout, again=again))
    activation = found.activation
    if found.progress.done and execute and not found.switched:
        activation = asyncio.run(_activate(settings, found.generation.number, operator_name(operator), timeout))
    _print(found, activation, as_json=as_json)
    if not found.progress.done:
        raise typer.Exit(ExitCode.UNFINISHED)
    if activation is None and found.compared is not None and found.compared.found.differing:
        raise typer.Exit(ExitCode.CHANGES)


def back(
    to: Annotated[
        int | None, typer.Option("--to", min=0, help="Which generation. Default: the one before the last switch.")
    ] = None,
    timeout: Timeout = 600.0,
    operator: Operator = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Let the generation take effect again that did before the last switch; its workers have gone on until now.

    If an interrupted call has begun that already, this one goes on with it; after one that is done, there is nothing to do:
    only --to leads forth again. Exit code 2: there is one, and --execute was not given.
    """
    settings, _ = load()
    known = asyncio.run(known_generations(settings))
    wanted, done = way_back(known, settings.partitions, to)
    facts = {"generation": wanted, "activation": known.activation.number if done else None}
    if done:
        others = " or ".join(f"--to {one}" for one in known.returnable)
        more = f" Add {others} for another." if others else ""
        _say(facts, f"Generation {wanted} takes effect already (activation {known.activation.number}).{more}", as_json=as_json)
        return
    if not execute:
        _say(facts, f"Generation {wanted} would take effect again.", as_json=as_json)
        raise typer.Exit(ExitCode.CHANGES)
    activation = asyncio.run(_activate(settings, wanted, operator_name(operator), timeout, back=True))
    text = f"Generation {wanted} takes effect again (activation {activation.number})."
    _say(facts | {"activation": activation.number}, text, as_json=as_json)


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


async def _rebuild(plan: Plan, by: str, timeout: float, *, again: bool) -> _Rebuild:
    settings, mapping, clock = plan.settings, plan.new, SystemClock()
    async with BatchProducer(settings) as producer:
        orders = GenerationOrders(settings, producer, clock, by)
        known = await known_generations(settings)
        await orders.repeat(known)
        if known.is_switching(settings.partitions) and not known.activation.back:
            return await _taking_effect(settings, known, switched=False)
        if not again and await _has_taken_effect(settings, known, mapping):
            return await _taking_effect(settings, known, switched=True)
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


async def _taking_effect(settings: Settings, known: KnownGenerations, *, switched: bool) -> _Rebuild:
    activation = known.activation
    generation = known.generations.get(activation.generation) or Generation(number=0, by="", began=0, ends={})
    progress = await build_progress(settings, known, generation) if generation.number else BuildProgress.of_first(settings)
    return _Rebuild(generation, progress, activation=activation, switched=switched)


async def _has_taken_effect(settings: Settings, known: KnownGenerations, mapping: Mapping) -> bool:
    """Whether nothing is being built, and the mapping is that of the last switch.

    Raises:
        RefusedError: another generation has that mapping; or the one that is being built has not.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    beside = newest_beside(known)
    if beside is not None:
        its = of_generation(settings, beside.number)
        if await has_setup(its) and not await is_built_with(its, mapping):
            remedy = "Give that (--mapping); or stop its workers, and 'owdd replay clean --execute'"
            raise RefusedError(f"generation {beside.number} is being built with another mapping", remedy=remedy)
        return False
    # The first rebuild needs no reason, and no way back leads to the one before.
    if not known.activation.number:
        return False
    if await is_built_with(of_generation(settings, known.activation.generation), mapping):
        return True
    for former in known.returnable:
        if await is_built_with(of_generation(settings, former), mapping):
            remedy = f"'owdd replay back --to {former} --execute' lets it take effect again; --again builds another"
            raise RefusedError(f"generation {former} has this mapping", remedy=remedy)
    return False


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
    if found.activation is not None:
        how = "with this mapping has taken effect already" if found.switched else "takes effect: an earlier call began it"
        more = " Add --again to build another." if found.switched else ""
        output.line(f"Generation {number} {how} (activation {found.activation.number}).{more}")
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
