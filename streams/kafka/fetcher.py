"""aiokafka's fetcher, with a long wait for records where nothing is missed by it.

aiokafka has one fetch per broker under way, and leaves out the partitions whose last records were not consumed yet. Until that
fetch returns they are not asked again, so the wait of an idle partition holds up a busy one. With a wait of 20 ms for every
fetch an idle worker asked 50 times a second, which was half of its CPU. So only a fetch that leaves partitions out is short.

A fetch is answered as soon as there is one record, so at an even pace each record costs a fetch, and everything that follows
from it requests of its own. A *paced* consumer rests a moment after it was given a few records: the first record after
a quiet time is fetched at once, and those that come soon after it come together.
"""

import asyncio
from collections import defaultdict
from typing import Any

import aiokafka.consumer.consumer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest

from streams.kafka.fetch_sessions import FetchSession

SHORT_WAIT_MS = 20
"""The longest wait of a fetch that leaves out partitions with records that were not consumed yet."""

FEW = 256
"""Records in one fetch beyond which a paced consumer does not rest: there is a backlog, and fetches are full anyhow."""

_REST = "_rest_after_records"
"""The attribute of aiokafka's client that says how long its consumer rests: a consumer makes its fetcher when it is started."""


class _SessionClient:
    """aiokafka's client as its fetcher sees it: fetches go in a session with each broker."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sessions: defaultdict[int, FetchSession] = defaultdict(FetchSession)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        if isinstance(request, FetchRequest):
            return await self._sessions[node_id].fetch(self._client, node_id, request)
        return await self._client.send(node_id, request, **options)


class PromptFetcher(Fetcher):  # type: ignore[misc]  # aiokafka is untyped
    """Waits at the broker for the time that the consumer was given, but briefly while it holds records."""

    def __init__(self, client: Any, *args: Any, **options: Any) -> None:
        self._rest_until: dict[Any, float] = {}
        super().__init__(_SessionClient(client), *args, **options)

    @property
    def _fetch_max_wait_ms(self) -> int:
        return min(SHORT_WAIT_MS, self._longest_wait_ms) if self._records else self._longest_wait_ms

    @_fetch_max_wait_ms.setter
    def _fetch_max_wait_ms(self, wait_ms: int) -> None:
        self._longest_wait_ms = wait_ms

    async def _proc_fetch_request(self, assignment: Any, node_id: Any, request: Any) -> bool:
        try:
            await asyncio.sleep(max(0.0, self._rest_until.get(node_id, 0.0) - self._loop.time()))
        except asyncio.CancelledError:
            # As aiokafka's own method: the answer is of no interest any more, and those who cancel wait for it.
            return False
        found = bool(await super()._proc_fetch_request(assignment, node_id, request))
        rest = getattr(self._client, _REST, 0.0)
        if found and rest and _waiting(assignment, request) <= FEW:
            self._rest_until[node_id] = self._loop.time() + rest
        return found


def _waiting(assignment: Any, request: Any) -> int:
    """Records that the logs held behind where the request asked, in those partitions that are still ours."""
    asked = {TopicPartition(topic, number): offset for topic, places in request.topics for number, offset, _ in places}
    states = {place: assignment.state_value(place) for place in asked}
    return sum(max(0, (state.highwater or 0) - asked[place]) for place, state in states.items() if state is not None)


def pace(consumer: AIOKafkaConsumer, seconds: float) -> AIOKafkaConsumer:
    """Have ``consumer`` rest for so long after each fetch that brought a few records, and all there were."""
    setattr(consumer._client, _REST, seconds)
    return consumer


def rest_of(consumer: AIOKafkaConsumer) -> float:
    """The seconds that ``consumer`` was paced with."""
    return float(getattr(consumer._client, _REST, 0.0))


def install() -> None:
    """Make every consumer of this process fetch so, those of Faust too."""
    aiokafka.consumer.consumer.Fetcher = PromptFetcher
