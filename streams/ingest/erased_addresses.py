"""The digests of erased addresses, from topic ``erasures``: read to its end before the first row, and followed from then on."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aiokafka import TopicPartition

from streams.domain.digester import Digester
from streams.kafka.reader import follower, read_to_end
from streams.kafka.security import KafkaConfig
from streams.messages.erasure_requests import read_erasure_request


class ErasureFeed:
    """Follows topic ``erasures`` without a consumer group, because every process needs all its partitions.

    Use it as a context manager: entering reads the topic to its end, so that no row of an erased person passes at the start.
    Entering raises as :meth:`refresh` does.
    """

    def __init__(self, kafka: KafkaConfig, topic: str, partitions: int, digest: Digester) -> None:
        self._kafka = kafka
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._known: set[bytes] = set()
        self._stack = AsyncExitStack()
        self.digest = digest

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._consumer = await stack.enter_async_context(follower(self._kafka))
            async for record in read_to_end(self._consumer, self._places):
                self._take(record)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def refresh(self) -> None:
        """Read the records that were appended since the last call, without waiting for more.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
            ConfigurationError: somebody was erased under a key that this process does not have.
        """
        for records in (await self._consumer.getmany(timeout_ms=0)).values():
            for record in records:
                self._take(record)

    def _take(self, record: Any) -> None:
        if record.value is None:
            # Re-keyed. The digest under the newer key is in another partition, and may come later: this one stays known.
            return
        self.digest.age(read_erasure_request(record.value).key_id)
        self._known.add(record.key)

    def add(self, digest: bytes) -> None:
        """Add an erasure that this process has just requested, so that it applies before the topic returns it."""
        self._known.add(digest)

    def __bool__(self) -> bool:
        """Whether anybody was erased."""
        return bool(self._known)

    def erased(self, address: str) -> bool:
        """Whether the address belongs to an erased person."""
        # A digest costs a keyed hash for every address; without erasures there is none to compute.
        return bool(self._known) and self.digest.known_in(address, self._known)
