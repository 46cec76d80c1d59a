"""The brake's clock: lets the owner of partition 0 see that a round's wait is over."""

import asyncio
from collections.abc import Callable

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.kafka.producer import BatchProducer
from streams.messages.removal_kinds import RemovalTickChange
from streams.messages.removals import BRAKE_PARTITION, RemovalTick
from streams.messages.topics import Topics

_LOOK_SECONDS = 1.0


class BrakeClock:
    """``due`` is the round under way and when its wait is over (epoch ms), if this worker rules."""

    def __init__(
        self, producer: BatchProducer, topics: Topics, due: Callable[[], tuple[int, int] | None], clock: Clock
    ) -> None:
        self._producer = producer
        self._topic = topics.desired
        self._due = due
        self._clock = clock

    async def run(self) -> None:
        """Tick for ever, once a second at most.

        Raises:
            aiokafka.errors.KafkaError: a tick could not be written; the worker must end.
        """
        while True:
            now, due = self._clock.now_ms(), self._due()
            if due is not None and now >= due[1]:
                tick = RemovalTickChange(str(BRAKE_PARTITION), due[0], b"", Lane.URGENT, now, RemovalTick(due[0]))
                await self._producer.send_one(self._topic, BRAKE_PARTITION, None, self._topic.pack([tick]))
            await asyncio.sleep(_LOOK_SECONDS)
