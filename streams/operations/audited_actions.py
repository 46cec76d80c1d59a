"""Where the audit topic holds what operators did with entries that are still there.

The topic keeps everything for ever, entries are kept for a month. Nobody acts on an entry before it is there, so what was
appended before the oldest of them is about none.
"""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.reader import offsets_since

CLOCKS_APART_MS = 3_600_000
"""The clocks of brokers, whose append times records have, and of workers differ by less than this."""


async def first_actions(
    consumer: AIOKafkaConsumer, entries: Sequence[TopicPartition], audit: Sequence[TopicPartition], since_ms: int = 0
) -> Mapping[TopicPartition, int]:
    """The offset in each partition of the audit topic before which nothing is about the entries in ``entries``.

    ``since_ms``: only entries that were set aside from then on matter (epoch ms).

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = await consumer.offsets_for_times(dict.fromkeys(entries, max(0, since_ms - CLOCKS_APART_MS))) if entries else {}
    first = [at.timestamp for at in found.values() if at is not None]
    if not first:
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(audit)
        return ends
    return await offsets_since(consumer, audit, min(first) - CLOCKS_APART_MS)
