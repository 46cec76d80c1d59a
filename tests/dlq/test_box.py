"""What was set aside is listed until somebody, or the outbox, is done with it."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
import pytest_asyncio

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import Parked
from streams.messages.audit import OperatorAction, read_audit
from streams.messages.changes import ChangeKind, pack, partition_of
from streams.messages.contributions import AddressLeft
from streams.messages.dead_letters import Coordinates, origin_of
from streams.messages.kinds import BuyerContributionChange, OrderFactChange
from streams.operations.dlq_actions import Action
from streams.operations.dlq_entry import Position
from streams.operations.dlq_filter import key_hashes
from streams.operations.dlq_store import DeadLetterStore
from tests.dlq.dlq_harness import CAPTURED, PARTITIONS, LetterBox, letter_box
from tests.wire import unpack

ANN = "ann@bright.co.uk"
KEY, VALUE = b'{"cc_id":12}', b'{"after":{"cc_email":"Ann@bright.co.uk"}}'
REFUSED = Parked("record", ANN, "SO1", "insightData:badJson", "data", "price has another type", 1, 5, 6, "ab")


@pytest_asyncio.fixture
async def store(broker: Path) -> AsyncIterator[LetterBox]:
    async with letter_box(broker, f"dlq-{uuid4().hex[:8]}") as opened:
        yield opened


async def test_both_kinds_are_listed_without_personal_data(store: LetterBox) -> None:
    await store.dead_letter(KEY, VALUE)
    await store.park(REFUSED)
    parked, dead = await store.listed()
    assert (dead.position, dead.stage, dead.code) == (Position("ingest", 1, 0), "ingest", "bad_text")
    assert dead.origin == Coordinates(CAPTURED, 1, 981)
    assert (parked.position.kind, parked.stage, parked.code) == ("delivery", "record", "insightData:badJson")
    assert "ann" not in repr([parked.facts(), dead.facts()])


async def test_a_retried_record_goes_whole_to_the_topic_of_retries_and_says_where_it_stood(store: LetterBox) -> None:
    await store.dead_letter(KEY, VALUE)
    assert await store.act("retry", await store.listed()) == 1
    (record,) = await store.held(store.topics.retries)
    assert (record.key, record.value) == (KEY, VALUE)
    assert origin_of(record.headers, Coordinates("", 0, 0)) == (Coordinates(CAPTURED, 1, 981), 1)
    assert await store.held(CAPTURED) == []


async def test_a_record_of_a_stage_goes_back_to_the_stage(store: LetterBox) -> None:
    value = pack([BuyerContributionChange(ANN, "c1", b"\0" * 8, 1, 1, AddressLeft(None))])
    await store.dead_letter(None, value, "cannot_apply", "contacts", store.topics.contacts)
    assert await store.act("retry", await store.listed()) == 1
    (record,) = await store.held(store.topics.contacts)
    assert (record.partition, record.value) == (1, value)


@pytest.mark.parametrize("topic", [CAPTURED, "owdd-other.order-changes"])
async def test_a_stages_record_of_a_foreign_topic_is_left_where_it_is(store: LetterBox, topic: str) -> None:
    await store.dead_letter(KEY, VALUE, "cannot_apply", "orders", topic)
    assert await store.act("retry", await store.listed()) == 0
    assert len(await store.listed()) == 1


async def test_the_owner_of_a_parked_delivery_is_asked_to_try_again(store: LetterBox) -> None:
    await store.park(REFUSED)
    assert await store.act("retry", await store.listed()) == 1
    (record,) = await store.held(store.topics.desired)
    assert record.partition == partition_of(ANN, PARTITIONS)
    (asked,) = unpack(record.value)
    assert (asked.kind, asked.key, asked.pk, asked.row) == (ChangeKind.UNPARK, ANN, "SO1", None)


@pytest.mark.parametrize("action", ["retry", "drop"])
async def test_what_is_done_is_no_longer_listed_and_who_did_it_is_known(store: LetterBox, action: Action) -> None:
    await store.dead_letter(KEY, VALUE)
    await store.dead_letter(KEY, VALUE, "bad_time")
    await store.park(REFUSED)
    (chosen,) = await store.listed(code="bad_time")
    await store.act(action, [chosen])
    assert {entry.code for entry in await store.listed()} == {"bad_text", "insightData:badJson"}
    assert {entry.code: entry.outcome for entry in await store.listed(closed=True)}["bad_time"] == action
    (entry,) = [read_audit(record.value) for record in await store.held(store.topics.audit)]
    assert entry == OperatorAction(store.clock.now_ms(), "ops", action, "bad_time", 1, [str(chosen.position)])


async def test_dropping_sends_nothing(store: LetterBox) -> None:
    await store.dead_letter(KEY, VALUE)
    await store.park(REFUSED)
    assert await store.act("drop", await store.listed()) == 2
    assert [*await store.held(store.topics.retries), *await store.held(store.topics.desired)] == []


async def test_a_delivery_that_is_parked_again_is_listed_again(store: LetterBox) -> None:
    await store.park(REFUSED)
    await store.act("retry", await store.listed())
    await store.park(Parked("record", ANN, "SO1", "insightData:badJson", "data", "again", 2, 5, 9, "ab"))
    (entry,) = await store.listed()
    assert entry.attempts == 2


async def test_a_delivery_that_has_ended_is_not_listed(store: LetterBox) -> None:
    await store.park(REFUSED)
    await store.park(Parked("record", ANN, "SO1", "", "", "", 1, 5, 9, "cd", state="cleared"))
    await store.park(Parked("record", ANN, "SO2", "x", "data", "", 1, 5, 9, "cd"))
    (entry,) = await store.listed()
    assert entry.code == "x"
    assert [entry.outcome for entry in await store.listed(closed=True)] == ["cleared", None]


@pytest.mark.parametrize("key", ["12", KEY.decode(), ANN, "ANN@bright.co.uk "])
async def test_letters_are_found_by_what_names_them(store: LetterBox, key: str) -> None:
    await store.dead_letter(KEY, VALUE)
    await store.dead_letter(b'{"cc_id":13}', b"{}")
    (entry,) = await store.listed(keys=key_hashes(key, store.hash_key))
    assert entry.position.offset == 0


@pytest.mark.parametrize(
    ("key", "stages"), [(ANN, {"contacts"}), ("c1", {"contacts", "buyers"}), ("1", {"buyers"}), ("7", {"buyers"})]
)
async def test_letters_of_a_stage_are_found_by_the_rows_that_they_name(store: LetterBox, key: str, stages: set[str]) -> None:
    await store.dead_letter(
        None, pack([BuyerContributionChange(ANN, "c1", b"\0" * 8, 1, 1, AddressLeft(None))]), "cannot_apply", "contacts"
    )
    await store.dead_letter(None, pack([OrderFactChange("c1", 7, b"\0" * 8, 1, 1, None)]), "cannot_apply", "buyers")
    found = await store.listed(keys=key_hashes(key, store.hash_key))
    assert {entry.stage for entry in found} == stages


async def test_a_letter_is_opened_by_its_place(store: LetterBox) -> None:
    await store.dead_letter(KEY, VALUE)
    entry, record = await DeadLetterStore(store.settings).record(Position.parse("ingest/1@0"))
    assert (entry.code, record.value) == ("bad_text", VALUE)
    with pytest.raises(OwddError, match="there is no entry at ingest/1@1"):
        await DeadLetterStore(store.settings).record(Position.parse("ingest/1@1"))


async def test_a_limited_rate_is_kept(store: LetterBox) -> None:
    for _ in range(4):
        await store.dead_letter(KEY, VALUE)
    entries = await store.listed()
    begun = monotonic()
    await store.act("drop", entries, rate=20.0)
    assert monotonic() - begun >= 3 / 20
