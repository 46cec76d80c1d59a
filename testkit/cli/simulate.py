"""``owdd simulate``: a made-up Orderwise shop that writes to Kafka as Debezium would, or to a database as an ERP does."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.output import AsJson
from streams.core.errors import ConfigurationError, OwddError
from streams.kafka.event_loop import new_event_loop
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping, load_mapping
from streams.settings import load_settings
from testkit.simulate import Simulation, SimulationConfig
from testkit.simulate.calendar import USUAL_END
from testkit.simulate.config import DEFAULT_SEED
from testkit.simulate.runner import LastPart, Progress, Runner
from testkit.simulate.settings import SimulatorSettings
from testkit.simulate.sql_runner import Part, Report, SqlRunner
from testkit.simulate.sql_writer import NotEmptyError


def simulate(
    customers: Annotated[int, typer.Option(min=1, help="Accounts in all.")] = 300,
    orders: Annotated[int, typer.Option(min=0, help="Orders in all, guest orders included.")] = 1500,
    live: Annotated[int | None, typer.Option(min=0, help="Commits after the snapshot; default: as many as orders.")] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Records a second, or commits with --sql-url; 0: as fast as possible.")
    ] = 0,
    everyday: Annotated[
        int,
        typer.Option(
            min=0,
            help="Last commits to hold back until a line arrives on standard input, and to send at --everyday-rate then; "
            "'waiting' is printed when all others are sent.",
        ),
    ] = 0,
    everyday_rate: Annotated[float, typer.Option(min=0, help="Records a second of these commits.")] = 20,
    seconds: Annotated[float | None, typer.Option(min=0, help="Make no new commit after this time.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal shops.")] = DEFAULT_SEED,
    house_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of orders booked on the mapping's house accounts; default: 0.3, or 0 where the mapping has none.",
        ),
    ] = None,
    consent: Annotated[bool, typer.Option(help="Fill the opt-in column of contacts.")] = False,
    duplicates: Annotated[float, typer.Option(min=0, max=1, help="Probability that a record is sent again.")] = 0,
    replays: Annotated[int, typer.Option(min=0, help="Connector restarts, each sending the end of the log again.")] = 0,
    shuffle: Annotated[bool, typer.Option(help="Interleave topics and keys out of commit order.")] = False,
    meta: Annotated[
        bool, typer.Option(help="Also write schema-change and transaction records, where their topics exist.")
    ] = False,
    ending: Annotated[
        str,
        typer.Option(
            help="When the shop's last day ends: an instant with an offset, or 'now'. Equal shops need equal instants, so "
            "give the two parts of one shop the same one."
        ),
    ] = USUAL_END.isoformat(),
    sql_url: Annotated[
        str | None,
        typer.Option(
            help="Write SQL to this database, and nothing to Kafka: mssql://user@host:1433/database or postgresql://... "
            "The password is OWDD_ORDERWISE_PASSWORD or the secret file owdd_orderwise_password."
        ),
    ] = None,
    part: Annotated[
        Part, typer.Option(help="With --sql-url: make the tables and their opening rows, the changes after them, or all.")
    ] = Part.ALL,
    if_empty: Annotated[
        bool, typer.Option("--if-empty", help="With --sql-url: if there are rows already, change nothing and succeed.")
    ] = False,
    truth: Annotated[Path | None, typer.Option(dir_okay=False, help="File to write the final rows to.")] = None,
    bootstrap: Annotated[str, typer.Option(envvar="OWDD_KAFKA_BOOTSTRAP", help="Kafka bootstrap servers.")] = "127.0.0.1:9092",
    mapping: Annotated[
        Path | None,
        typer.Option(envvar="OWDD_MAPPING", dir_okay=False, help="The site's mapping; default: the shipped one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a seeded Orderwise shop: its snapshot, then its changes, as Debezium records on Kafka or as SQL.

    With --sql-url and the same seed, --part opening and then --part live do together what --part all does: in between, a
    connector can take its snapshot.

    Ctrl-C or SIGTERM ends the shop's day early: records in flight are still sent, and the truth file is right. A second
    one aborts. Exit code 1: no topic, no database, or a refused record or row; 3: the options do not fit together; 4: no
    broker.
    """
    if everyday and as_json:
        raise ConfigurationError("--everyday prints a line of its own, so it does not go with --json")
    site = load_mapping(mapping)
    config = SimulationConfig(
        mapping=site,
        customers=customers,
        orders=orders,
        live=live,
        house_share=_house_share(house_share, site),
        consent=consent,
        duplicates=duplicates,
        replays=replays,
        shuffle=shuffle,
        meta=meta,
        ending=_instant(ending),
        seed=seed,
    )
    simulation = Simulation(config)
    if sql_url is None:
        kafka = replace(KafkaConfig.of(load_settings()), bootstrap=bootstrap)
        last = LastPart(everyday, everyday_rate, _a_line) if everyday else None
        work = _to_kafka(Runner(simulation, rate=rate, seconds=seconds, last=last), kafka)
    else:
        password = SimulatorSettings().orderwise_password.get_secret_value()
        work = _to_database(SqlRunner(simulation, sql_url, password, rate=rate, seconds=seconds), part, if_empty)
    with asyncio.Runner(loop_factory=new_event_loop) as loop:
        done = loop.run(_run(simulation, work))
    if truth is not None:
        try:
            simulation.write_truth(truth)
        except OSError as error:
            raise OwddError(f"the truth cannot be written: {error}") from error
    summary = _summary(simulation, done, seed)
    if as_json:
        output.print_json(summary)
    else:
        _show(summary)


async def _a_line() -> None:
    output.line("waiting")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)


def _house_share(asked: float | None, mapping: Mapping) -> float:
    if asked is None:
        return 0.3 if mapping.house_accounts else 0.0
    return asked


def _instant(text: str) -> datetime:
    if text == "now":
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--ending {text}: neither 'now' nor an ISO-8601 instant") from None


def _to_kafka(runner: Runner, kafka: KafkaConfig) -> Callable[[Report], Awaitable[Progress]]:
    return lambda report: runner.run(kafka, report)


def _to_database(runner: SqlRunner, part: Part, if_empty: bool) -> Callable[[Report], Awaitable[Progress]]:
    def write(report: Report) -> Progress:
        try:
            done = runner.opening(write=part != Part.LIVE, report=report)
        except NotEmptyError:
            if if_empty:
                return Progress()
            raise
        return done if part == Part.OPENING else runner.live(report=report)

    return lambda report: asyncio.to_thread(write, report)


async def _run(simulation: Simulation, work: Callable[[Report], Awaitable[Progress]]) -> Progress:
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        simulation.stop()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    with output.progress("Simulating") as show:
        return await work(lambda done: show(f"{done.records:,} records in {done.seconds:.1f} s"))


def _summary(simulation: Simulation, done: Progress, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "records": done.records,
        "bytes": done.bytes,
        "seconds": round(done.seconds, 3),
        "records_per_second": round(done.records / done.seconds) if done.seconds else None,
        "rows": simulation.rows,
        "phenomena": dict(sorted(simulation.phenomena.items())),
    }


def _show(summary: dict[str, Any]) -> None:
    speed = summary["records_per_second"] or 0
    output.line(f"{summary['records']:,} records in {summary['seconds']:.1f} s ({speed:,}/s), seed {summary['seed']}")
    for title in ("rows", "phenomena"):
        rows = [(name, f"{count:,}") for name, count in summary[title].items()]
        output.print_table((title.removesuffix("s"), "count"), rows)
