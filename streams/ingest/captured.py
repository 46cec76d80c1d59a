"""The consumer of ingest's two loops."""

from aiokafka import AIOKafkaConsumer

from streams.kafka import client
from streams.kafka.fetcher import pace
from streams.kafka.security import KafkaConfig

_METADATA_MS = 5_000

_REST_SECONDS = 0.12
"""Less than the quiet time of an urgent change, which counts from its append: gathering here delays nothing, and what is
gathered here goes through all stages together."""


def captured_consumer(kafka: KafkaConfig, group: str, session_ms: int) -> AIOKafkaConsumer:
    """A consumer of captured topics, which is not subscribed yet; ``session_ms`` is its session timeout."""
    consumer = client.consumer(
        kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        # Partitions that were added to a captured topic are read after so long; aiokafka's default is five minutes.
        metadata_max_age_ms=_METADATA_MS,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 5,
        max_partition_fetch_bytes=2**20,
        fetch_max_bytes=8 * 2**20,
        fetch_max_wait_ms=1_000,
    )
    return pace(consumer, _REST_SECONDS)
