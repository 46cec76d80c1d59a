"""Watches the captured topics: a table under another spelling, or one from which nothing comes, looks like a quiet shop."""

import asyncio
from collections.abc import Collection, Iterable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.core.errors import ConfigurationError
from streams.kafka import client
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.observability.metrics import Metrics

log = structlog.get_logger()

_INTERVAL = 10.0
_PATIENCE = 30.0
_SHOWN = 3


def check_spelling(mapped: Collection[str], existing: Iterable[str]) -> None:
    """No existing topic differs from a mapped one in letter case only.

    SQL Server finds its names whatever their case, and Debezium names its topics as the names were created. So a topic that
    differs is the mapped table's own, and the mapped topic stays empty.

    Raises:
        ConfigurationError: one does; it shows the right spelling.
    """
    spelled = {name.casefold(): name for name in mapped}
    if other := sorted(name for name in existing if spelled.get(name.casefold(), name) != name):
        remedy = "Spell database, schema and tables in the mapping as the database does; delete topics of a former spelling"
        named = ", ".join(other[:_SHOWN]) + (f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else "")
        raise ConfigurationError(f"captured topics differ in letter case: {named}", where="Kafka", remedy=remedy)


class CapturedTopicsWatch:
    """Counts what each captured topic has received, and looks for topics that are spelt otherwise."""

    def __init__(self, kafka: KafkaConfig, topics: Collection[str], metrics: Metrics) -> None:
        self._kafka = kafka
        self._topics = topics
        self._metrics = metrics

    async def run(self) -> None:
        """Watch for ever; while the broker is away, the counts stay as they are.

        Raises:
            ConfigurationError: the connector writes a mapped table's rows into a topic that is spelt otherwise.
            aiokafka.errors.KafkaError: the broker cannot be reached at the start.
        """
        admin = client.admin_client(self._kafka)
        await admin.start()
        try:
            async with reader(self._kafka) as consumer:
                while True:
                    try:
                        async with asyncio.timeout(_PATIENCE):
                            await self._look(admin, consumer)
                    except (KafkaError, TimeoutError) as error:
                        log.warning("captured topics cannot be looked at", error=type(error).__name__)
                    await asyncio.sleep(_INTERVAL)
        finally:
            await admin.close()

    async def _look(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        existing = set(await admin.list_topics())
        check_spelling(self._topics, existing)
        described = await admin.describe_topics([topic for topic in self._topics if topic in existing])
        places = [TopicPartition(item["topic"], part["partition"]) for item in described for part in item["partitions"]]
        received = dict.fromkeys(self._topics, 0)
        for place, end in (await consumer.end_offsets(places) if places else {}).items():
            received[place.topic] += end
        for topic, records in received.items():
            self._metrics.captured_records.labels(topic).set(records)
