"""One screen for the whole pipeline: from a real broker without workers, with a worker's port, and what it remarks on."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer import Context
from typer.main import get_command
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.deliveries import PartitionResumed, RecordStored, write_event
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.messages.write_control import RUNNING, WriteControl
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.operations.status import Capture, FromWorkers, Part, SetAside, Status, read_status
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from testkit.local_services.ports import free_port
from tests.served import served

# Other tests have the captured topics of the default mapping.
MAPPING = load_mapping()
MAPPING = MAPPING.model_copy(update={"source": MAPPING.source.model_copy(update={"topic_prefix": f"status-{uuid4().hex[:8]}"})})
WELL = Status(
    at=1_800_000_000_000,
    parts=[Part(role, 1, 0, 0.0) for role in ("ingest", "agents", "dispatch")],
    lag=[],
    oldest_undelivered=0.0,
    set_aside=SetAside(),
    workers=FromWorkers(answered=True),
    capture=Capture(row=5.0, connector=3.0),
    writes=RUNNING,
    last_delivery=None,
)


@pytest.fixture
async def settings(broker: Path) -> AsyncIterator[Settings]:
    """Topics of an application of its own, and a worker's port that answers."""
    running = kafka.status(broker).broker
    assert running is not None
    metrics = Metrics()
    metrics.pending.labels("live").set(7)
    metrics.held.labels("unknown_status", "configuration").set(3)
    metrics.budget_limit.labels("high").set(150)
    metrics.budget_remaining.labels("high").set(120)
    async with served(Health(metrics).app()) as port:
        made = Settings(
            app_id=f"status-{uuid4().hex[:8]}", partitions=2, kafka_bootstrap=running.bootstrap, workers=f"127.0.0.1:{port}"
        )
        await apply_topics(KafkaConfig.of(made), list(specs(made, MAPPING)), execute=True)
        yield made


async def test_the_broker_and_a_workers_port_give_the_whole_screen(settings: Settings) -> None:
    delivered = time.time_ns() // 1_000_000 - 36_000_000
    async with client.producer(KafkaConfig.of(settings)) as producer:
        topic = Topics.of(settings.app_id).deliveries
        for event in (RecordStored(at=delivered, task="ra@x.example\0SO1", digest=b"1"), PartitionResumed(at=1, fence="f")):
            await producer.send_and_wait(topic, write_event(event), partition=1)
        await producer.send_and_wait(topic, b"of another release", partition=0)

    found = await read_status(settings, MAPPING)
    assert found.stopped == ["ingest", "agents", "dispatch"]
    assert found.last_delivery == delivered
    assert found.workers == FromWorkers(answered=True, pending={"live": 7}, budget={"high": (150, 120)})
    assert found.set_aside == SetAside(held={"unknown_status": 3})

    environment = {
        f"OWDD_{name}": str(getattr(settings, name.lower())) for name in ("APP_ID", "PARTITIONS", "KAFKA_BOOTSTRAP", "WORKERS")
    }
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["status"], env=environment)
    assert shown.exit_code == ExitCode.NOT_RUNNING
    for text in ("No worker runs agents", "7 live", "high 120 of 150", "3 unknown_status", "10.0 h ago"):
        assert text in shown.output, shown.output
    printed = await asyncio.to_thread(CliRunner().invoke, app, ["status", "--json"], env=environment)
    facts = json.loads(printed.output)
    assert (facts["well"], facts["last_delivery"], facts["set_aside"]["held"]) == (False, delivered, {"unknown_status": 3})


async def test_a_worker_that_does_not_answer_is_named_and_what_only_it_knows_is_not_guessed(settings: Settings) -> None:
    dead = f"127.0.0.1:{free_port()}"
    found = await read_status(settings.model_copy(update={"workers": f"{settings.workers},{dead}"}), MAPPING)
    assert found.workers.unreachable == (f"http://{dead}",)
    # Half of the gauges would be half of the truth: held documents come from the changelogs then.
    assert found.set_aside.held == {}
    assert any(dead in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("changed", "remark"),
    [
        ({"parts": [Part("ingest", 0, 0, 0.0)]}, "owdd run --only ingest"),
        ({"writes": WriteControl(1, "ops", paused=True)}, "owdd resume"),
        ({"oldest_undelivered": 301.0}, "owdd lag"),
        ({"capture": Capture(row=61.0, connector=3.0)}, "The database's heartbeat is 61 s old: see 'owdd connectors status'."),
        ({"capture": Capture(row=5.0, connector=61.0)}, "The connector's heartbeat is 61 s old"),
        ({"capture": Capture(row=None, connector=3.0)}, "Kafka has no heartbeat of the database"),
        ({"capture": Capture(row=5.0, connector=None)}, "Kafka has no heartbeat of the connector"),
        ({"set_aside": SetAside(dead_letters={"bad_lsn": 2})}, "Changes that could not be read: 2."),
        ({"set_aside": SetAside(parked={"x": 1})}, "owdd dlq list --kind delivery"),
        ({"set_aside": SetAside(held={"x": 1})}, "owdd state held"),
        ({"set_aside": SetAside(frozen={"x": 1})}, "--frozen"),
        ({"set_aside": SetAside(removals={"list": 9})}, "owdd removals show"),
    ],
)
def test_whatever_is_not_well_is_a_remark_that_names_a_command(changed: dict[str, object], remark: str) -> None:
    assert WELL.remarks == []
    (text,) = replace(WELL, **changed).remarks  # type: ignore[arg-type]
    assert remark in text
    for command in re.findall(r"'owdd ([^']+)'", text):
        parses(command.split())


def parses(words: list[str]) -> None:
    """Fails with the command line's own message where it does not take the words."""
    command: Any = get_command(app)
    context: Any = None
    name = "owdd"
    while hasattr(command, "resolve_command"):
        context = Context(command, parent=context, info_name=name)
        name, command, words = command.resolve_command(context, words)
    command.make_context(name, list(words), parent=context)
