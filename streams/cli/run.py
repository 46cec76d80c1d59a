"""``owdd run``: one worker process."""

import asyncio
from typing import Annotated

import typer
import uvloop

from streams.cli.common import guarded, load
from streams.observability.logs import configure
from streams.worker import Role, Worker


def run(
    only: Annotated[list[Role] | None, typer.Option("--only", help="Run only this part; may be repeated.")] = None,
) -> None:
    """Run ingest, agents and dispatch until SIGTERM."""
    with guarded():
        settings, mapping = load()
        configure(settings)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        worker = Worker(settings, mapping, set(only or Role))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(worker.run())
