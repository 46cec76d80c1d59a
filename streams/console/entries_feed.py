"""The entries that are open now, read whole only when something about them has changed."""

from aiokafka import AIOKafkaConsumer

from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.operations.dlq_entry import DeadLetterEntry
from streams.operations.dlq_filter import Filter
from streams.operations.dlq_store import DeadLetterStore
from streams.operations.set_aside import SetAside, SetAsideFeed
from streams.settings import Settings

_MOST = 2000
"""Entries that are kept: a day on which everything is refused must not fill the memory, and nobody reads more in a browser."""


class EntriesFeed:
    """Dead letters and parked deliveries that are open; follows their topics through a consumer of its own.

    Attributes:
        entries: the oldest of them.
        more: whether there are others.
        counts: what is set aside, all of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = DeadLetterStore(settings)
        self._consumer: AIOKafkaConsumer | None = None
        self._feed: SetAsideFeed | None = None
        self.entries: list[DeadLetterEntry] = []
        self.more = False
        self.counts: list[SetAside] = []

    async def refresh(self) -> None:
        """Read what was appended since, and the entries if that was anything.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        try:
            feed = await self._started()
            if await feed.refresh():
                found = await self._store.entries(Filter(limit=_MOST + 1))
                self.entries, self.more = found[:_MOST], len(found) > _MOST
                self.counts = list(feed.counts())
        except BaseException:
            # The next attempt has a new consumer, and reads everything again.
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the consumer; :meth:`refresh` opens another one."""
        consumer, self._consumer, self._feed = self._consumer, None, None
        if consumer is not None:
            await consumer.stop()

    async def _started(self) -> SetAsideFeed:
        if self._feed is None:
            self._consumer = reader(KafkaConfig.of(self._settings))
            await self._consumer.start()
            self._feed = SetAsideFeed(self._settings, self._consumer)
        return self._feed
