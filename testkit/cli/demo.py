"""``owdd demo`` and ``owdd demo-cdc``: the main job, end to end, on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.cli.common import FAILED, guarded
from testkit.demo.run import DemoConfig, Report
from testkit.demo.run import demo as run_demo

_Directory = Annotated[
    Path | None, typer.Option(file_okay=False, help="Keep data and logs here; default: a temporary directory.")
]
_Report = Annotated[Path, typer.Option(dir_okay=False, help="Where to write the report.")]
_HouseShare = Annotated[float, typer.Option(min=0, max=1, help="Share of orders booked on a house account.")]
_Seed = Annotated[int, typer.Option(help="Seed of the shop.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print only the report.")]


def demo(
    customers: Annotated[int, typer.Option(min=1, help="Accounts in the simulated shop.")] = 2000,
    orders: Annotated[int, typer.Option(min=0, help="Orders, guest orders included.")] = 10_000,
    house_share: _HouseShare = 0.3,
    rate: Annotated[int, typer.Option(min=0, help="Events per second; 0: as fast as possible.")] = 2000,
    seed: _Seed = 1,
    report: _Report = Path("demo-report.json"),
    directory: _Directory = None,
    as_json: _AsJson = False,
) -> None:
    """Start broker, sandbox and workers, simulate a shop, and verify the result. Everything is stopped afterwards.

    Exit code 0: Dotdigital equals the oracle's answer; 1: it does not, or something failed.
    """
    _run(DemoConfig(customers, orders, house_share, rate, seed, report=report, directory=directory), as_json)


def demo_cdc(
    customers: Annotated[int, typer.Option(min=1, help="Accounts in the simulated shop.")] = 300,
    orders: Annotated[int, typer.Option(min=0, help="Orders, guest orders included.")] = 1_500,
    house_share: _HouseShare = 0.3,
    rate: Annotated[int, typer.Option(min=0, help="Commits per second; 0: as fast as possible.")] = 60,
    seed: _Seed = 1,
    report: _Report = Path("demo-cdc-report.json"),
    directory: _Directory = None,
    as_json: _AsJson = False,
) -> None:
    """Like demo, with real capture: the shop writes SQL, and Debezium reads the log of its database (PostgreSQL).

    Exit code 0: Dotdigital equals the oracle's answer; 1: it does not, or something failed.
    """
    _run(DemoConfig(customers, orders, house_share, rate, seed, report=report, directory=directory, capture=True), as_json)


def _run(config: DemoConfig, as_json: bool) -> None:
    console = Console(stderr=as_json)
    with guarded():
        try:
            found = asyncio.run(run_demo(config, console))
        except (RuntimeError, TimeoutError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt:
            typer.echo("interrupted; everything is stopped", err=True)
            raise typer.Exit(130) from None
    if as_json:
        typer.echo(config.report.read_text("utf-8"))
    else:
        _show(found, console)
    if not found.converged:
        raise typer.Exit(FAILED)


def _show(found: Report, console: Console) -> None:
    table = Table(title="Summary", show_header=False)
    table.add_row("contacts", f"{found.contacts:,}")
    table.add_row("differences", f"[{'green' if found.converged else 'red'}]{found.differences}")
    table.add_row("events", f"{found.events:,}")
    table.add_row("calls to Dotdigital", f"{found.calls:,}")
    table.add_row("delivered", orjson.dumps(found.delivered).decode())
    table.add_row("parked / dead letters", f"{found.parked} / {found.dead_letters}")
    table.add_row("held, by reason", orjson.dumps(found.held).decode())
    for lane, values in found.latency_seconds.items():
        shown = ", ".join(f"{name} {value:.2f} s" for name, value in values.items() if value is not None)
        table.add_row(f"change to delivery, {lane}", shown or "-")
    table.add_row("seconds", f"{found.seconds}")
    console.print(table)
