"""The entries that are open now, read whole only when something about them has changed."""

from streams.console.following import Following
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
        self._store = DeadLetterStore(settings)
        self._following = Following(settings, SetAsideFeed)
        self.entries: list[DeadLetterEntry] = []
        self.more = False
        self.counts: list[SetAside] = []

    async def refresh(self) -> None:
        """Read what was appended since, and the entries if that was anything.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        async with self._following.feed() as feed:
            if await feed.refresh():
                found = await self._store.entries(Filter(limit=_MOST + 1))
                self.entries, self.more = found[:_MOST], len(found) > _MOST
                self.counts = list(feed.counts())

    async def stop(self) -> None:
        """Close the consumer; :meth:`refresh` opens another one."""
        await self._following.stop()
