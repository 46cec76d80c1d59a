"""Follows topic ``controls``: every worker knows whether writes are paused before it makes a call, and within moments after."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from aiokafka import TopicPartition

from streams.kafka.reader import follow
from streams.kafka.security import KafkaConfig
from streams.messages.write_control import PARTITION, WriteControl, read_control

ApplyControl: TypeAlias = Callable[[WriteControl], None]


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
        await follow(self._kafka, self._place, lambda record: apply(read_control(record.value)), known)
