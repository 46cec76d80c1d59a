"""Everything that runs in a drill, and what is done to it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from aiokafka import AIOKafkaProducer

from streams.kafka import client
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping as SiteMapping
from streams.mapping import load_mapping
from streams.worker import Role
from testkit.demo.run import write_mapping
from testkit.demo.stack import LocalStack
from testkit.drill.connect import FakeConnect
from testkit.drill.shop import Shop
from testkit.local_services.jars import Progress, silent
from testkit.simulate.envelopes import Position, TableEnvelope, commit_lsn, heartbeat
from testkit.simulate.tables import CUSTOMER, TableNames

_BEAT_SECONDS = 5.0
_HOUR_MS = 3_600_000
_FILL = 2000
"""Records that are sent before the next are: the producer's memory is not the partition that is to be filled."""
_VARIABLES = {"OWDD_BULK_QUIET": "1", "OWDD_BULK_LONGEST": "4", "OWDD_CONSENT_WAIT": "0", "OWDD_PARTITIONS": "4"}


@dataclass
class Scene:
    """A shop that trades, the workers behind it, Dotdigital, and capture's signs of life."""

    stack: LocalStack
    connect: FakeConnect
    shop: Shop
    mapping: SiteMapping
    producer: AIOKafkaProducer
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def begin(self) -> None:
        """Open the shop, start the workers, and wait until everything of the opening is delivered."""
        await self.start_heartbeat()
        await self.shop.open()
        workers = [await self.stack.start_worker(role, name=role, wait=False) for role in Role]
        for worker in workers:
            await self.stack.ready(worker)
        await self.stack.settled()
        self._start("trade", self.shop.trade())

    async def end(self) -> None:
        """Stop what goes on by itself.

        Raises:
            Exception: something of it had failed.
        """
        for name in list(self._tasks):
            await self._stop(name)

    @property
    def targets(self) -> dict[str, str]:
        """Where the metrics of each role are."""
        return {role.value: f"127.0.0.1:{self.stack.workers[role].port}" for role in Role}

    async def stop_role(self, role: Role) -> None:
        """As a supervisor that has lost it."""
        process = self.stack.workers[role].process
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait)

    async def start_role(self, role: Role) -> None:
        """On the port that Prometheus knows."""
        await self.stack.start_worker(role, name=role, port=self.stack.workers[role].port)

    async def start_heartbeat(self) -> None:
        """A row that comes back every five seconds, and the connector's own sign of life."""
        self._start("heartbeat", self._beat())

    async def stop_heartbeat(self) -> None:
        """As when capture stands still."""
        await self._stop("heartbeat")

    async def set_connect(self, *, away: bool = False, task: str = "RUNNING") -> None:
        """How Kafka Connect answers from now on."""
        self.connect.away, self.connect.task = away, task

    async def break_dotdigital(self, faults: Mapping[str, object]) -> None:
        """Faults as the sandbox names them."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.stack.settings.dotdigital_url}/_sandbox/faults", json=faults)
            answer.raise_for_status()

    async def repair_dotdigital(self) -> None:
        """No faults any more."""
        await self.break_dotdigital({"outage": False, "unauthorized": False, "http_429": 0, "latency_ms": 0})

    async def poison(self) -> None:
        """Two records that are no JSON, once."""
        for _ in range(2):
            await self.producer.send(self.mapping.topic(CUSTOMER), b"{not json", b'{"cd_id": 9}')
        await self.producer.flush()

    async def fill_partition(self) -> None:
        """Send to one partition without a pause."""
        self._start("fill", self._fill())

    async def leave_partition(self) -> None:
        """Send no more."""
        await self._stop("fill")

    async def _beat(self) -> None:
        names = CaptureNames.of(self.mapping)
        envelope, row = TableEnvelope.of(self.mapping, TableNames("heartbeat", "id", {})), b'{"id":1}'
        place = Position(b'"%b"' % commit_lsn(1).encode(), commit_lsn(1).encode(), b"1")
        while True:
            now = time.time_ns()
            beat = envelope.head(b"u", row, row, place, now // 1_000_000) + b"}"
            await self.producer.send(names.heartbeat_rows, beat, envelope.key(1), partition=0)
            event = heartbeat(self.mapping, now)
            await self.producer.send(event.topic, event.value, event.key, partition=0)
            await asyncio.sleep(_BEAT_SECONDS)

    async def _fill(self) -> None:
        # A deletion of a row that nobody has: read and counted like any other record, and nothing comes of it.
        topic, key = self.mapping.topic(CUSTOMER), b'{"cd_id":999999}'
        while True:
            at = time.time_ns() // 1_000_000 - _HOUR_MS
            for _ in range(_FILL):
                await self.producer.send(topic, None, key, partition=0, timestamp_ms=at)
            await self.producer.flush()

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[name] = asyncio.create_task(work)

    async def _stop(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def open_scene(directory: Path, progress: Progress = silent) -> AsyncIterator[Scene]:
    """Everything in the empty ``directory``, at work, the opening of the shop delivered; all of it stops at the end."""
    mapping_file = directory / "mapping.yaml"
    write_mapping(mapping_file)
    mapping = load_mapping(mapping_file)
    connect = FakeConnect(CaptureNames.of(mapping).connector)
    async with AsyncExitStack() as stack:
        stack.enter_context(connect.served())
        variables = _VARIABLES | {"OWDD_CONNECT_URL": connect.url}
        running = await stack.enter_async_context(LocalStack(directory, mapping_file, variables, progress))
        producer = await stack.enter_async_context(client.producer(KafkaConfig.of(running.settings), acks="all"))
        scene = Scene(running, connect, Shop(mapping, producer), mapping, producer)
        stack.push_async_callback(scene.end)
        await scene.begin()
        yield scene
