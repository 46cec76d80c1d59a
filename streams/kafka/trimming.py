"""Topics between the stages are kept until they are read: Kafka deletes none of their records by time, their readers do.

A topic with a retention loses records that nobody has read yet, if its reader is down for longer; no later record brings back
what they said. So these topics have none. The worker that reads a partition deletes from it what its group has finished, once
that is older than anybody needs it (docs/decisions/016-kept-until-read.md).
"""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from streams.core.clock import Clock
from streams.kafka import client
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.observability.lag import ConsumedOffsets

log = structlog.get_logger()

_INTERVAL = 600.0


class Trimmer:
    """Deletes what a group has finished from the partitions of this worker.

    ``kept_ms`` is how long a record stays after it was appended, by topic; topics that are not named are left alone.
    """

    def __init__(
        self,
        kafka: KafkaConfig,
        progress: ConsumedOffsets,
        kept_ms: Mapping[str, int],
        clock: Clock,
        interval: float = _INTERVAL,
    ) -> None:
        self._kafka = kafka
        self._progress = progress
        self._kept_ms = kept_ms
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Trim every ``interval`` seconds, for ever."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.trim()
            except KafkaError as error:
                # Nothing is lost by it; but without the right to delete records the topics grow.
                log.warning("old records cannot be deleted", group=self._progress.group, error=type(error).__name__)

    async def trim(self) -> None:
        """Delete what is finished and old.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer, or refuses.
        """
        mine = [place for place in self._progress.next if place.topic in self._kept_ms]
        if not mine:
            return
        admin = client.admin_client(self._kafka)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(self._progress.group, partitions=mine)
            now = self._clock.now_ms()
            async with reader(self._kafka) as consumer:
                begins = await consumer.beginning_offsets(mine)
                young = await consumer.offsets_for_times({place: max(0, now - self._kept_ms[place.topic]) for place in mine})
            before = {}
            for place in mine:
                # The record before the committed offset stays: its bookmark is compared with it.
                read = committed[place].offset - 1 if place in committed else -1
                old = read if young[place] is None else young[place].offset
                if min(read, old) > begins[place]:
                    before[place] = RecordsToDelete(min(read, old))
            if before:
                await admin.delete_records(before)
        finally:
            await admin.close()
