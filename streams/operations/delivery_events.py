"""Reads single events of the topic ``deliveries`` by their offsets, which the rows of the outbox remember."""

import asyncio
from collections.abc import Iterable
from typing import get_args

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.dispatch.outbox.tasks import owner_of
from streams.messages.deliveries import TaskEvent, read_event

MOST_EVENTS = 25
"""Events of one contact that are read, the newest."""
_SECONDS = 3.0


async def read_events(consumer: AIOKafkaConsumer, place: TopicPartition, offsets: Iterable[int], owner: str) -> list[TaskEvent]:
    """The events at ``offsets`` that are about tasks of ``owner``; those that retention has deleted are left out.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
        TimeoutError: it does not answer in time.
    """
    wanted = sorted(set(offsets))[-MOST_EVENTS:]
    if not wanted:
        return []
    consumer.assign([place])
    begins, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
    found: list[TaskEvent] = []
    async with asyncio.timeout(_SECONDS):
        for offset in wanted:
            event = await _event(consumer, place, offset) if begins[place] <= offset < ends[place] else None
            if event is not None and owner_of(event.task) == owner:
                found.append(event)
    return found


async def _event(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> TaskEvent | None:
    consumer.seek(place, offset)
    record = await consumer.getone(place)
    if record.offset != offset:
        # Compacted away, or the topic was made anew.
        return None
    try:
        event = read_event(record.value or b"")
    except msgspec.MsgspecError:
        return None
    return event if isinstance(event, get_args(TaskEvent)) else None
