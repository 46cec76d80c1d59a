"""The canary: a change that nobody delivers. It goes through every stage, to show that the way is open, and how long it is."""

import asyncio
from collections.abc import Callable

from streams.core.lanes import Lane
from streams.kafka.producer import BatchProducer
from streams.messages.changes import HERE
from streams.messages.kinds import CanaryChange
from streams.messages.topics import Topics

_SECONDS = 60.0
_LOOK_SECONDS = 1.0
"""Until a worker that has just taken the lead sends one."""


class Canary:
    """Sends one into every partition, once a minute, from the worker for which ``leads()`` is true.

    ``begins`` says when it began: when the newest heartbeat row was committed in the database, or now (epoch ms) where nobody
    watches capture. So its age at the end is that of a change of that moment, calls to Dotdigital excepted.
    """

    def __init__(
        self,
        producer: BatchProducer,
        topics: Topics,
        partitions: int,
        leads: Callable[[], bool],
        begins: Callable[[], int],
    ) -> None:
        self._producer = producer
        self._topic = topics.orders
        self._partitions = partitions
        self._leads = leads
        self._begins = begins

    async def run(self) -> None:
        """Send for ever.

        Raises:
            aiokafka.errors.KafkaError: one could not be written; the worker must end.
        """
        while True:
            if not self._leads():
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            value = self._topic.pack([CanaryChange(HERE, 0, b"", Lane.LIVE, self._begins(), None)])
            sends = [self._producer.send_one(self._topic, place, None, value) for place in range(self._partitions)]
            await asyncio.gather(*sends)
            await asyncio.sleep(_SECONDS)
