"""``owdd demo`` and ``owdd demo-cdc``: the main job, end to end, on this machine."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.errors import ConfigurationError, OwddError
from testkit.demo.run import DemoConfig, Report
from testkit.demo.run import demo as run_demo
from testkit.local_services.broker_security import Security


def _command(purpose: str, usual: DemoConfig, rated: str) -> Callable[..., None]:
    """A demonstration of the ``usual`` size; ``rated`` is what its rate counts."""

    def command(
        customers: Annotated[int, typer.Option(min=1, help="Accounts in the simulated shop.")] = usual.customers,
        orders: Annotated[int, typer.Option(min=0, help="Orders, guest orders included.")] = usual.orders,
        house_share: Annotated[
            float, typer.Option(min=0, max=1, help="Share of orders booked on a house account.")
        ] = usual.house_share,
        rate: Annotated[int, typer.Option(min=0, help=f"{rated} per second; 0: as fast as possible.")] = usual.rate,
        seed: Annotated[int, typer.Option(help="Seed of the shop.")] = usual.seed,
        report: Annotated[Path, typer.Option(dir_okay=False, help="Where to write the report.")] = usual.report,
        directory: Annotated[
            Path | None, typer.Option(file_okay=False, help="Keep data and logs here; default: a temporary directory.")
        ] = None,
        kafka_security: Annotated[
            Security, typer.Option(help="How workers get into Kafka.", hidden=usual.capture)
        ] = usual.security,
        as_json: AsJson = False,
    ) -> None:
        if usual.capture and kafka_security != usual.security:
            raise ConfigurationError("demo-cdc runs over plain text only: its Connect worker has no credentials for Kafka")
        size = replace(usual, customers=customers, orders=orders, house_share=house_share, rate=rate, seed=seed)
        _run(replace(size, report=report, directory=directory, security=kafka_security), as_json)

    command.__doc__ = f"{purpose}\n\nExit code 0: Dotdigital equals the oracle's answer; 2: it does not."
    return command


demo = _command(
    "Start broker, sandbox and workers, simulate a shop, and verify the result. Everything is stopped afterwards.",
    DemoConfig(),
    "Events",
)
demo_cdc = _command(
    "Like demo, with real capture: the shop writes SQL, and Debezium reads the log of its database (PostgreSQL).",
    DemoConfig(customers=300, orders=1_500, rate=60, report=Path("demo-cdc-report.json"), capture=True),
    "Commits",
)


def _run(config: DemoConfig, as_json: bool) -> None:
    try:
        found = asyncio.run(run_demo(config, output.console(sys.stderr if as_json else sys.stdout)))
    except (RuntimeError, TimeoutError) as error:
        raise OwddError(str(error)) from error
    if as_json:
        output.raw(config.report.read_text("utf-8") + "\n")
    else:
        _show(found)
    if not found.converged:
        raise typer.Exit(ExitCode.CHANGES)


def _show(found: Report) -> None:
    facts = {
        "differences": found.differences,
        **_latencies("change to delivery", found.everyday_seconds or found.latency_seconds),
        **_first_load(found),
        "contacts": f"{found.contacts:,}",
        "events": f"{found.events:,}",
        "calls to Dotdigital": f"{found.calls:,}",
        "delivered": _counts(found.delivered),
        "parked / dead letters": f"{found.parked} / {found.dead_letters}",
        "held, by reason": _counts(found.held),
        "seconds": found.seconds,
    }
    output.print_table(("", ""), facts.items(), title="Summary", heading=False)


def _counts(found: dict[str, int]) -> list[str]:
    return [f"{count:,} {name}" for name, count in found.items()]


def _first_load(found: Report) -> dict[str, str]:
    if found.load_seconds is None or found.load_events is None:
        return {}
    throughput = f"{found.load_events:,} events in {found.load_seconds:.0f} s, {found.load_events / found.load_seconds:,.0f}/s"
    return {"first load": throughput}


def _latencies(title: str, lanes: dict[str, dict[str, float | None]]) -> dict[str, str]:
    shown = {
        lane: ", ".join(f"{name} {value:.2f} s" for name, value in found.items() if value) for lane, found in lanes.items()
    }
    return {f"{title}, {lane}": text for lane, text in shown.items() if text}
