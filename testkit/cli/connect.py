"""``owdd connect``: the local Kafka Connect worker for those who run without containers."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.groups import command_group
from streams.cli.output import AsJson, progress
from testkit.cli.local_services import (
    DATA_DIR,
    DataDir,
    Facts,
    Heap,
    Port,
    ShortLived,
    report_start,
    report_status,
    report_stop,
)
from testkit.local_services import connect, kafka
from testkit.local_services.connect import WorkerInfo
from testkit.local_services.start_errors import KafkaUnreachable

app = command_group("Run a local Kafka Connect worker with Debezium on this machine's Java.")


@app.command()
def start(
    bootstrap: Annotated[
        str | None,
        typer.Option(envvar="OWDD_KAFKA_BOOTSTRAP", help="Kafka, as host:port; default: the broker of 'owdd kafka start'."),
    ] = None,
    port: Port = None,
    data_dir: DataDir = DATA_DIR,
    group: Annotated[str, typer.Option(help="Workers of one group share connectors.")] = connect.GROUP,
    secrets: Annotated[
        Path | None,
        typer.Option(
            envvar="OWDD_CONNECT_CREDENTIALS",
            file_okay=False,
            help="Directory that connectors may read as ${file:...} and ${dir:...}; default: the worker's own.",
        ),
    ] = None,
    heap: Heap = "512m",
    short_lived: ShortLived = False,
    as_json: AsJson = False,
) -> None:
    """Start the worker, and return when it answers. Does nothing if it already runs."""
    with progress("Starting Kafka Connect") as show:
        worker = connect.start(
            data_dir / "connect",
            bootstrap or _beside(data_dir),
            port,
            group=group,
            secrets=secrets,
            heap=heap,
            short_lived=short_lived,
            progress=show,
        )
    report_start("Kafka Connect", worker.url, _facts(worker), worker.already_running, as_json)


@app.command()
def stop(data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Stop the worker, and return when it is gone. Its connectors and their offsets stay in Kafka."""
    with progress("Stopping Kafka Connect") as show:
        outcome = connect.stop(data_dir / "connect", progress=show)
    report_stop("Kafka Connect", outcome, "What it captured since its last flush is captured again.", as_json)


@app.command()
def status(data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Show whether the worker runs. Exit code 0 if it does, 5 if it does not. For its connectors: owdd connectors status."""
    found = connect.status(data_dir / "connect")
    worker = found.worker
    address, facts = (worker.url, _facts(worker)) if worker else ("", {})
    report_status("Kafka Connect", found.state, address, facts, "'owdd connect start' starts it again.", as_json)


def _beside(data_dir: Path) -> str:
    """The embedded broker of the same directory; raises ``KafkaUnreachable``."""
    found = kafka.status(data_dir / "kafka")
    if found.state != "running" or found.broker is None:
        raise KafkaUnreachable(f"the embedded broker of {data_dir}")
    return found.broker.bootstrap


def _facts(worker: WorkerInfo) -> Facts:
    return {
        "url": worker.url,
        "port": worker.port,
        "pid": worker.pid,
        "data_dir": str(worker.data_dir),
        "log": str(worker.log),
    }
