"""``owdd run``: one worker process."""

import asyncio
import gc
from contextlib import nullcontext
from typing import Annotated

import typer

from streams.cli.common import load
from streams.engine.data_dir import locked_data_dir
from streams.kafka.event_loop import new_event_loop
from streams.observability.logs import configure
from streams.worker import Role, Worker


def run(
    only: Annotated[list[Role] | None, typer.Option("--only", help="Run only this part; may be repeated.")] = None,
) -> None:
    """Run ingest, agents and dispatch until SIGTERM."""
    settings, mapping = load()
    configure(settings.log_level, as_json=settings.log_json)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with locked_data_dir(settings.data_dir) if settings.data_shared else nullcontext(settings.data_dir) as directory:
        _work(Worker(settings.model_copy(update={"data_dir": directory}), mapping, set(only or Role)))


def _work(worker: Worker) -> None:
    # A batch makes many small objects that die with it. What lives since the start need not be looked at again, and
    # young generations may grow: a quarter of the worker's time went into collecting nothing (docs/performance.md).
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(worker.run())
