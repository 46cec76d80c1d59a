"""How much came in and went out in each hour of the last day, counted by the offsets of Kafka's topics.

Nothing is read: the broker says which offset each hour began with. Records that compaction or retention has removed since
still count, as long as later ones of their partition are there.
"""

import time
from dataclasses import dataclass
from itertools import pairwise

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka import client
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import Mapping
from streams.messages.topics import Topics
from streams.settings import Settings

HOURS = 24
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Records of each hour, the oldest first; ``starts`` are the hours' beginnings (epoch ms), the last is under way.

    ``captured``: changes of Orderwise's tables; ``outcomes``: what became of calls to Dotdigital; ``dead_letters``: changes
    that could not be read.
    """

    starts: list[int]
    captured: list[int]
    outcomes: list[int]
    dead_letters: list[int]


async def day_counts(settings: Settings, mapping: Mapping, now_ms: int | None = None) -> DayCounts:
    """The last 24 hours.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    first = now - now % _HOUR_MS - (HOURS - 1) * _HOUR_MS
    starts = [first + hour * _HOUR_MS for hour in range(HOURS)]
    topics = Topics.of(settings.app_id, settings.generation)
    kafka = KafkaConfig.of(settings)
    admin = client.admin_client(kafka)
    async with reader(kafka) as consumer:
        await admin.start()
        try:
            groups = [captured(mapping), [topics.deliveries], [topics.dead_letters]]
            counts = [await _per_hour(consumer, admin, group, starts) for group in groups]
        finally:
            await admin.close()
    return DayCounts(starts, *counts)


async def _per_hour(consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topics: list[str], starts: list[int]) -> list[int]:
    described = await admin.describe_topics(topics)
    places = [TopicPartition(item["topic"], part["partition"]) for item in described for part in item["partitions"]]
    if not places:
        return [0] * len(starts)
    ends = await consumer.end_offsets(places)
    marks = []
    for start in starts:
        found = await consumer.offsets_for_times(dict.fromkeys(places, start))
        # None: nothing is as young as that.
        marks.append({place: ends[place] if (at := found.get(place)) is None else at.offset for place in places})
    marks.append(ends)
    return [sum(after[place] - before[place] for place in places) for before, after in pairwise(marks)]
