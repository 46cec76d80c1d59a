"""A coordinator that is loading or has moved is asked again: its error does not read as "nothing was ever committed"."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import aiokafka.consumer.consumer
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchResponse_v1, OffsetFetchResponse_v3
from aiokafka.protocol.coordination import FindCoordinatorResponse_v0
from aiokafka.structs import OffsetAndMetadata

from streams.kafka import client
from streams.kafka.continuity import _committed
from streams.kafka.group_answers import AttentiveCoordinator

PLACE = TopicPartition("in", 0)
LOADING, NOT_AVAILABLE, MOVED, REFUSED = 14, 15, 16, 30
COMMITTED = OffsetFetchResponse_v3(0, [("in", [(0, 7, "", 0)])], 0)
AT_7 = {PLACE: OffsetAndMetadata(7, "")}


def error(code: int) -> OffsetFetchResponse_v3:
    return OffsetFetchResponse_v3(0, [], code)


class Broker:
    """What a client asks: it gives the answers in turn, and counts how often its coordinator is looked for."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self.answers = iter(answers)
        self.looked_for = 0

    async def send(self, *_: Any, **__: Any) -> Any:
        return next(self.answers)

    def get_random_node(self) -> int:
        return 1

    async def coordinator_lookup(self, *_: Any) -> int:
        self.looked_for += 1
        return 1

    async def ready(self, *_: Any, **__: Any) -> bool:
        return True

    async def force_metadata_update(self) -> None:
        """There is no other broker."""


def coordinator(broker: Broker) -> Any:
    made = AttentiveCoordinator.__new__(AttentiveCoordinator)
    made._client, made.group_id, made.coordinator_id, made._retry_backoff_ms = broker, "g", 1, 0
    made._coordinator_lookup_lock, made._closing, made._coordinator_dead_fut = (
        asyncio.Lock(),
        asyncio.Future(),
        asyncio.Future(),
    )
    return made


class Admin(client._AdminClient):
    """One that knows where the coordinator is."""

    async def find_coordinator(self, group_id: str, coordinator_type: int = 0) -> int:
        return 1


def admin(broker: Broker, kind: type[client._AdminClient] = Admin) -> AIOKafkaAdminClient:
    made = kind.__new__(kind)
    made._client, made._coordinators = broker, {}
    return cast(AIOKafkaAdminClient, made)


@pytest.mark.parametrize(("code", "looked_for"), [(LOADING, 0), (NOT_AVAILABLE, 1), (MOVED, 1)])
async def test_a_consumer_asks_again(code: int, looked_for: int) -> None:
    broker = Broker([error(code), COMMITTED])
    assert await coordinator(broker).fetch_committed_offsets([PLACE]) == AT_7
    assert broker.looked_for == looked_for


async def test_an_older_answer_has_no_error_for_the_whole_group() -> None:
    broker = Broker([OffsetFetchResponse_v1([("in", [(0, 7, "", 0)])])])
    assert await coordinator(broker).fetch_committed_offsets([PLACE]) == AT_7


async def test_where_a_group_goes_on_is_asked_until_its_coordinator_knows() -> None:
    assert await _committed(admin(Broker([error(LOADING), error(MOVED), COMMITTED])), "g", [PLACE]) == AT_7
    with pytest.raises(GroupAuthorizationFailedError):
        await _committed(admin(Broker([error(REFUSED), COMMITTED])), "g", [PLACE])


async def test_nobody_is_answered_with_an_error_as_if_it_were_nothing() -> None:
    with pytest.raises(KafkaError):
        await admin(Broker([error(LOADING)])).list_consumer_group_offsets("g")


async def test_a_coordinator_is_looked_for_once_and_again_after_an_error() -> None:
    found = FindCoordinatorResponse_v0(0, 1, "localhost", 9092)
    broker = Broker([found, COMMITTED, COMMITTED, error(MOVED), found, COMMITTED])
    made = admin(broker, client._AdminClient)
    assert [await made.list_consumer_group_offsets("g") for _ in range(2)] == [AT_7, AT_7]
    with pytest.raises(NotCoordinatorForGroupError):
        await made.list_consumer_group_offsets("g")
    assert await made.list_consumer_group_offsets("g") == AT_7
    assert next(broker.answers, None) is None


def test_every_consumer_asks_so() -> None:
    assert aiokafka.consumer.consumer.GroupCoordinator is AttentiveCoordinator
