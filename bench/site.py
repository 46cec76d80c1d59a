"""The stage of a benchmark: an embedded broker in a temporary directory, topics, input, and contenders' processes."""

import asyncio
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from aiokafka import TopicPartition

from bench.child import Child, Meter, free_port
from bench.drain import Watch
from bench.reaper import BROKER, reaped
from bench.workload import PARTITIONS, PREFIX, Message
from streams.kafka import client
from streams.kafka.producer import BatchProducer, KeyValue
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services.kafka import BrokerInfo, embedded_broker

PROGRAM = (str(Path(sys.executable).parent / "owdd"),)
"""What runs workers."""

_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Owdd:
    """One application of ours: its settings, the mapping file of its captured topics, and ``more`` variables."""

    settings: Settings
    mapping: Path
    data: Path
    port: int
    more: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """What the worker is started with."""
        own = {
            "OWDD_KAFKA_BOOTSTRAP": self.settings.kafka_bootstrap,
            "OWDD_PARTITIONS": str(self.settings.partitions),
            "OWDD_APP_ID": self.settings.app_id,
            "OWDD_DATA_DIR": str(self.data),
            "OWDD_METRICS_PORT": str(self.port),
            "OWDD_MAPPING": str(self.mapping),
            "OWDD_GENERATION": str(self.settings.generation),
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("OWDD_")}
        return inherited | own | self.more


@dataclass(frozen=True, slots=True)
class Site:
    """A running broker with everything that a benchmark needs around it."""

    directory: Path
    broker: BrokerInfo
    watch: Watch
    meter: Meter
    """The broker's own CPU."""
    partitions: int = PARTITIONS

    def kafka_version(self) -> str:
        """What the broker says of itself."""
        found = re.search(r"Kafka version: (\S+)", self.broker.log.read_text(errors="replace"))
        return found[1] if found else "unknown"

    async def create(self, names: Iterable[str], **config: str) -> None:
        """Make topics with the same partition count as everything else; ``config`` with ``_`` for ``.``."""
        named = {key.replace("_", "."): value for key, value in config.items()}
        wanted = [TopicSpec(name, self.partitions, 1, "benchmark", named) for name in names]
        await apply_topics(KafkaConfig(self.broker.bootstrap), wanted, execute=True)

    async def owdd(self, app_id: str, prefix: str = PREFIX) -> Owdd:
        """One application of ours with its topics; captured topics are shared by all with the same ``prefix``."""
        mapping = self.directory / f"mapping-{prefix}.yaml"
        if not mapping.exists():
            shipped = (Path(sys.modules["streams.mapping"].__file__ or "").parent / "default.yaml").read_text()
            mapping.write_text(shipped.replace("topic_prefix: ow\n", f"topic_prefix: {prefix}\n"))
        settings = Settings(kafka_bootstrap=self.broker.bootstrap, partitions=self.partitions, app_id=app_id)
        await apply_topics(KafkaConfig(self.broker.bootstrap), list(specs(settings, load_mapping(mapping))), execute=True)
        return Owdd(settings, mapping, self.directory / "data" / app_id, free_port())

    def worker(self, app: Owdd, *roles: str, program: Sequence[str] = PROGRAM) -> Child:
        """``owdd run`` with only ``roles``; ``program`` may be another one that takes the same arguments."""
        only = [part for role in roles for part in ("--only", role)]
        generation = f"-g{app.settings.generation}" if app.settings.generation else ""
        name = f"owdd-{app.settings.app_id}-{'-'.join(roles)}{generation}"
        return Child(name, [*program, "run", *only], app.environment(), self.directory / f"{name}.log")

    def peer(self, name: str, command: Sequence[str], *, program: Sequence[str] = (sys.executable,), **env: str) -> Child:
        """A contender that is not ours, with its settings in ``BENCH_*`` variables; ``program`` runs its ``command``."""
        data = self.directory / "data" / name
        data.mkdir(parents=True)
        own = {"BENCH_BOOTSTRAP": self.broker.bootstrap, "BENCH_DATA": str(data), "BENCH_NAME": name} | env
        return Child(name, [*program, *command], os.environ | own, self.directory / f"{name}.log")

    def producer(self) -> BatchProducer:
        """The producer of captured records: uncompressed, as Kafka Connect does by default."""
        return BatchProducer(Settings(kafka_bootstrap=self.broker.bootstrap, compression="none"))

    async def append(self, producer: BatchProducer, message: Message) -> None:
        """Append one message, together with others that are appended to its partition meanwhile."""
        await producer.send_one(message.topic, self._partition(message), message.key, message.value)

    async def produce(self, messages: Iterable[Message]) -> int:
        """Append ``messages`` to their topics, keys kept in order; how many."""
        count = 0
        async with self.producer() as producer:
            pending: dict[tuple[str, int], list[KeyValue]] = defaultdict(list)
            for message in messages:
                pending[message.topic, self._partition(message)].append((message.key, message.value))
                count += 1
                if count % _CHUNK == 0:
                    await _flush(producer, pending)
            await _flush(producer, pending)
        return count

    async def read(self, topic: str) -> AsyncIterator[tuple[bytes | None, bytes | None]]:
        """Key and value of every record of ``topic``, in offset order per partition."""
        places = [TopicPartition(topic, number) for number in range(self.partitions)]
        left = {place: end for place, end in (await self.watch.ends([topic])).items() if end}
        consumer = client.consumer(KafkaConfig(self.broker.bootstrap), auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(places)
            while left:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        yield record.key, record.value
                # Not by the last record: a transaction ends with one that nobody is given.
                for place in [place for place, end in left.items() if await consumer.position(place) >= end]:
                    del left[place]
        finally:
            await consumer.stop()

    def _partition(self, message: Message) -> int:
        # Any partitioner will do that keeps a key's records together: every contender re-keys.
        return crc32(message.key) % self.partitions


@asynccontextmanager
async def open_site(partitions: int = PARTITIONS) -> AsyncIterator[Site]:
    """A broker with nothing in it; stopped, and its directory removed, at the end."""
    directory = Path(tempfile.mkdtemp(prefix="owdd-bench-"))
    with reaped(directory):
        async with (
            embedded_broker(directory / BROKER, heap="1g") as broker,
            Watch(broker.bootstrap, partitions) as watch,
        ):
            with Meter(broker.pid) as meter:
                yield Site(directory, broker, watch, meter, partitions)


async def _flush(producer: BatchProducer, pending: dict[tuple[str, int], list[KeyValue]]) -> None:
    await asyncio.gather(*(producer.send(topic, partition, rows) for (topic, partition), rows in pending.items()))
    pending.clear()


def load_average() -> float:
    """Runnable processes over the last minute: above zero at the start, others share the machine."""
    return round(os.getloadavg()[0], 2)
