"""Follows topic ``controls``: every worker knows whether writes are paused before it makes a call, and within moments after."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol, TypeAlias

from aiokafka import TopicPartition

from streams.kafka.reader import read_to_end, reader
from streams.kafka.security import KafkaConfig
from streams.messages.write_control import PARTITION, WriteControl, read_control

ApplyControl: TypeAlias = Callable[[WriteControl], None]

_POLL_MS = 1_000


class ControlFeed(Protocol):
    """How the worker learns of pauses."""

    async def follow(self, apply: ApplyControl, known: Callable[[], None]) -> None:
        """Apply what was said, call ``known`` once that is all there is, and go on for ever."""


class KafkaControlFeed:
    """The feed of one application's topic, outside every consumer group."""

    def __init__(self, kafka: KafkaConfig, topic: str) -> None:
        self._kafka = kafka
        self._place = TopicPartition(topic, PARTITION)

    async def follow(self, apply: ApplyControl, known: Callable[[], None]) -> None:
        """As the protocol says.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer; the worker must end, it cannot know whether it may write.
            msgspec.DecodeError: a record says nothing.
        """
        async with reader(self._kafka) as consumer:
            async with aclosing(read_to_end(consumer, [self._place])) as records:  # type: ignore[type-var]  # has aclose
                async for record in records:
                    apply(read_control(record.value))
            known()
            while True:
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for record in records:
                        apply(read_control(record.value))
