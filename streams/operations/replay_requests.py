"""The requests of one replay in topic ``replays``: written, and followed until ingest has finished them."""

from typing import Any
from zlib import crc32

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.producer import BatchProducer
from streams.kafka.topics import replay_group
from streams.messages.replays import ReplayRequest, run_key, write_request
from streams.messages.topics import Topics
from streams.observability.lag import PartitionLag, partition_lags
from streams.settings import Settings


class ReplayRequests:
    """Writes requests, and knows how far ingest is with them; ``consumer`` and ``admin`` are started clients."""

    def __init__(self, settings: Settings, producer: BatchProducer, consumer: Any, admin: AIOKafkaAdminClient) -> None:
        self._topic = Topics.of(settings.app_id).replays
        self._group = replay_group(settings)
        self._partitions = settings.partitions
        self._producer = producer
        self._consumer = consumer
        self._admin = admin
        self._ends: dict[TopicPartition, int] = {}

    async def follow_earlier(self) -> None:
        """Wait for the requests of an earlier process of the run as well: all of them stand before the ends of now.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        self._ends = {place: lag.end for place, lag in (await self._lags()).items()}

    async def send(self, request: ReplayRequest) -> None:
        """Write one.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        partition = crc32(f"{request.topic}/{request.partition}".encode()) % self._partitions
        place = TopicPartition(self._topic, partition)
        offset = await self._producer.send(self._topic, partition, [(run_key(request.run), write_request(request))])
        if offset < 0:
            # The broker had it already, and nobody knows where; it stands before the end.
            offset = (await self._consumer.end_offsets([place]))[place] - 1
        self._ends[place] = offset + 1

    async def waiting(self) -> int:
        """Requests, of this run and of others, that ingest has not finished.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        return sum(lag.behind for lag in (await self._lags()).values())

    async def answered(self) -> bool:
        """Whether ingest has finished those of this run; those that others wrote behind them do not count.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        lags = await self._lags()
        return all(place in lags and max(lags[place].committed, lags[place].begin) >= end for place, end in self._ends.items())

    async def _lags(self) -> dict[TopicPartition, PartitionLag]:
        return await partition_lags(self._group, [self._topic], self._consumer, self._admin)
