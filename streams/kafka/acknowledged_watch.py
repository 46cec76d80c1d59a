"""Looks every few seconds whether the logs still hold what this process has written, whoever reads them."""

import asyncio

from aiokafka.errors import KafkaError

from streams.core.acknowledged import Acknowledged, LogId
from streams.core.bookmark import Bookmark
from streams.kafka.continuity import LostAcknowledgedError, lost_writes
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig

_WATCH_SECONDS = 3.0
_PATIENCE = 30.0


class AcknowledgedWatch:
    """Compares the records that were the last at the look before: a log that was cut may have grown past the newest."""

    def __init__(self, kafka: KafkaConfig, acknowledged: Acknowledged) -> None:
        self._kafka = kafka
        self._acknowledged = acknowledged

    async def run(self) -> None:
        """Watch for ever.

        Raises:
            LostAcknowledgedError: a record is gone.
            aiokafka.errors.KafkaError: the broker cannot be reached at the start.
        """
        before: dict[LogId, Bookmark] = {}
        async with reader(self._kafka) as consumer:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                marks = self._acknowledged.marks()
                compared = {place: before.get(place, mark) for place, mark in marks.items()}
                try:
                    async with asyncio.timeout(_PATIENCE):
                        lost = await lost_writes(consumer, [compared])
                except (KafkaError, TimeoutError):
                    # A log is cut while its broker is away: what is compared stays the same until there is an answer.
                    before = compared
                    continue
                if lost:
                    raise LostAcknowledgedError(lost)
                before = marks
