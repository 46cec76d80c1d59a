"""Fetches that name only what changed since the one before (KIP-227): the broker remembers the rest, and answers for all of it.

aiokafka names every partition in every fetch, and every answer does; at an even pace that is the same each time, packed and
unpacked in Python. In a session of the broker a fetch names the partitions that are new, whose offset moved, or which
are to be left out from now on; its answer names those that have something new.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeAlias

from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch
from aiokafka.protocol.fetch import FetchRequest

_Place: TypeAlias = tuple[str, int]
_FIRST_VERSION = 7
"""Of the request in which there are sessions (Kafka 1.1)."""
_LAST_EPOCH = 2**31 - 1
_LOST = {FetchSessionIdNotFound.errno, InvalidFetchSessionEpoch.errno}


class FetchSession:
    """What one broker knows of one consumer's fetches.

    A fetch whose answer did not come leaves it unknown what the broker knows: then the next one begins a session anew, in
    place of the one before.
    """

    def __init__(self) -> None:
        self._id = self._epoch = 0
        self._known: dict[_Place, tuple[int, int]] = {}

    async def fetch(self, client: Any, node_id: int, whole: FetchRequest) -> Any:
        """The answer to ``whole``, without the partitions about which there is nothing new.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        response = await self._ask(client, node_id, whole)
        if getattr(response, "error_code", 0) in _LOST:
            # It has too many sessions, or was started again.
            response = await self._ask(client, node_id, whole)
        return response

    async def _ask(self, client: Any, node_id: int, whole: FetchRequest) -> Any:
        wanted = {(topic, number): (offset, most) for topic, places in whole.topics for number, offset, most in places}
        request = _SessionFetch(whole, self._id, self._epoch)
        if self._epoch:
            request.name(
                {place: at for place, at in wanted.items() if self._known.get(place) != at}, self._known.keys() - wanted.keys()
            )
        # Until there is an answer: what begins is named whole, and ends the session of this id.
        self._epoch, epoch = 0, self._epoch
        response = await client.send(node_id, request)
        if response.API_VERSION >= _FIRST_VERSION and not response.error_code:
            # 0: the broker makes no more sessions.
            self._id = response.session_id
            self._known = wanted
            self._epoch = (epoch % _LAST_EPOCH + 1) if self._id else 0
        elif response.API_VERSION >= _FIRST_VERSION:
            self._id = 0
        return response


class _SessionFetch(FetchRequest):  # type: ignore[misc]  # aiokafka is untyped
    """A fetch of ``whole``, in a session; :meth:`name` narrows it to what changed."""

    def __init__(self, whole: FetchRequest, session: int, epoch: int) -> None:
        super().__init__(
            whole._max_wait_ms, whole._min_bytes, whole._max_bytes, whole._isolation_level, whole.topics, whole._rack_id
        )
        self._session = session, epoch
        self._forgotten: list[tuple[str, list[int]]] = []

    def name(self, changed: dict[_Place, tuple[int, int]], forgotten: Iterable[_Place]) -> None:
        """Name only these; a broker without sessions never lets it come to that."""
        topics: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for (topic, number), at in changed.items():
            topics[topic].append((number, *at))
        left_out: defaultdict[str, list[int]] = defaultdict(list)
        for topic, number in forgotten:
            left_out[topic].append(number)
        self._topics, self._forgotten = list(topics.items()), list(left_out.items())

    def build(self, request_struct_class: Any) -> Any:
        built: Any = super().build(request_struct_class)
        if built.API_VERSION >= _FIRST_VERSION:
            built.session_id, built.session_epoch = self._session
            built.forgotten_topics_data = self._forgotten
        return built
