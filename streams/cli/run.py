"""``owdd run``: one worker process."""

import asyncio
import gc
import os
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load
from streams.core.cancelling import cancellable
from streams.core.clock import SystemClock
from streams.engine.data_dir import locked_data_dir, own_data_dir
from streams.kafka.event_loop import new_event_loop
from streams.mapping import Mapping
from streams.observability.logs import configure
from streams.operations.site_setup import check_setup
from streams.operations.start_checks import check_credentials, check_open_files, check_settings, check_topics
from streams.settings import Settings, unknown_variables
from streams.worker import Role, Worker


def run(
    only: Annotated[list[Role] | None, typer.Option("--only", help="Run only this part; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="If the worker does not start, print why as JSON.")] = False,  # noqa: ARG001 - the group reads it
) -> None:
    """Run ingest, agents and dispatch until SIGTERM."""
    settings, mapping = load()
    configure(settings.log_level, as_json=settings.log_json)
    roles = set(only or Role)
    # State, logs of the store and everything else that names persons: files 0600, directories 0700.
    os.umask(0o077)
    for name, nearest in unknown_variables(os.environ).items():
        output.warn(f"{name} is not a setting, and is ignored{f'; did you mean {nearest}?' if nearest else ''}")
    check_settings(settings)
    if Role.DISPATCH in roles:
        check_credentials(settings)
    if roles & {Role.AGENTS, Role.DISPATCH}:
        check_open_files(settings.partitions)
    with (locked_data_dir if settings.data_shared else own_data_dir)(settings.data_dir) as directory:
        settings = settings.model_copy(update={"data_dir": directory})
        asyncio.run(cancellable(_check_cluster(settings, mapping, captured_too=Role.INGEST in roles)))
        _work(Worker(settings, mapping, roles))


async def _check_cluster(settings: Settings, mapping: Mapping, *, captured_too: bool) -> None:
    await check_topics(settings, mapping, captured_too=captured_too)
    await check_setup(settings, mapping, SystemClock())


def _work(worker: Worker) -> None:
    # A batch makes many small objects that die with it. What lives since the start need not be looked at again, and
    # young generations may grow: a quarter of the worker's time went into collecting nothing (docs/performance.md).
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(worker.run())
