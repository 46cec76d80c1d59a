"""aiokafka's fetcher, with a long wait for records where nothing is missed by it.

aiokafka has one fetch per broker under way, and leaves out the partitions whose last records were not consumed yet. Until that
fetch returns they are not asked again, so the wait of an idle partition holds up a busy one. With a wait of 20 ms for every
fetch an idle worker asked 50 times a second, which was half of its CPU. So only a fetch that leaves partitions out is short.
"""

import aiokafka.consumer.consumer
from aiokafka.consumer.fetcher import Fetcher

SHORT_WAIT_MS = 20
"""The longest wait of a fetch that leaves out partitions with records that were not consumed yet."""


class PromptFetcher(Fetcher):  # type: ignore[misc]  # aiokafka is untyped
    """Waits at the broker for the time that the consumer was given, but briefly while it holds records."""

    @property
    def _fetch_max_wait_ms(self) -> int:
        return min(SHORT_WAIT_MS, self._longest_wait_ms) if self._records else self._longest_wait_ms

    @_fetch_max_wait_ms.setter
    def _fetch_max_wait_ms(self, wait_ms: int) -> None:
        self._longest_wait_ms = wait_ms


def install() -> None:
    """Make every consumer of this process fetch so, those of Faust too."""
    aiokafka.consumer.consumer.Fetcher = PromptFetcher
