"""``owdd kafka``: the embedded broker for those who run without containers."""

from streams.cli import output
from streams.cli.groups import command_group
from streams.cli.output import AsJson, progress
from streams.settings import Settings, load_settings
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
from testkit.local_services import kafka
from testkit.local_services.kafka import BrokerInfo

_DEFAULT_PORT = int(Settings.model_fields["kafka_bootstrap"].default.rpartition(":")[2])
"""Where the other commands look for Kafka unless they are given an address."""

app = command_group("Run a local Kafka broker on this machine's Java.")


@app.command()
def start(
    port: Port = None,
    data_dir: DataDir = DATA_DIR,
    heap: Heap = "512m",
    short_lived: ShortLived = False,
    as_json: AsJson = False,
) -> None:
    """Start the broker, and return when it answers. Does nothing if it already runs."""
    with progress("Starting Kafka") as show:
        broker = kafka.start(
            data_dir / "kafka", port, heap=heap, short_lived=short_lived, progress=show, preferred=_DEFAULT_PORT
        )
    report_start("Kafka", broker.bootstrap, _facts(broker), broker.already_running, as_json)
    if not as_json and broker.bootstrap != load_settings().kafka_bootstrap:
        output.line(f"For the other commands: export OWDD_KAFKA_BOOTSTRAP={broker.bootstrap}")


@app.command()
def stop(data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Stop the broker, and return when it is gone. Its data is kept."""
    with progress("Stopping Kafka") as show:
        outcome = kafka.stop(data_dir / "kafka", progress=show)
    report_stop("Kafka", outcome, "It recovers its data at the next start.", as_json)


@app.command()
def status(data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Show whether the broker runs. Exit code 0 if it does, 5 if it does not."""
    found = kafka.status(data_dir / "kafka")
    broker = found.broker
    address, facts = (broker.bootstrap, _facts(broker)) if broker else ("", {})
    report_status("Kafka", found.state, address, facts, "'owdd kafka start' starts it again on its data.", as_json)


def _facts(broker: BrokerInfo) -> Facts:
    return {
        "bootstrap": broker.bootstrap,
        "port": broker.port,
        "pid": broker.pid,
        "cluster_id": broker.cluster_id,
        "data_dir": str(broker.data_dir),
        "log": str(broker.log),
    }
