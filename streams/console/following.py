"""A feed that follows a topic through a consumer of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer

from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

F = TypeVar("F")


class Following(Generic[F]):
    """Keeps what ``make`` makes of a consumer between two readings, and the consumer open."""

    def __init__(self, settings: Settings, make: Callable[[Settings, AIOKafkaConsumer], F]) -> None:
        self._settings = settings
        self._make = make
        self._consumer: AIOKafkaConsumer | None = None
        self._feed: F | None = None

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[F]:
        """The feed, to be read from. After an error the next one is new, and reads everything again.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        try:
            if self._feed is None:
                self._consumer = reader(KafkaConfig.of(self._settings))
                await self._consumer.start()
                self._feed = self._make(self._settings, self._consumer)
            yield self._feed
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the consumer; :meth:`feed` opens another one."""
        consumer, self._consumer, self._feed = self._consumer, None, None
        if consumer is not None:
            await consumer.stop()
