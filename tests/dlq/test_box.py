"""What was set aside is listed until somebody, or the outbox, is done with it."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
import pytest_asyncio

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import Parked
from streams.messages.audit import Acted, read_audit
from streams.messages.changes import Change, Kind, pack, partition_of, unpack
from streams.messages.dead_letters import Coordinates, origin_of
from streams.operations.dlq_actions import Action
from streams.operations.dlq_entry import Place
from streams.operations.dlq_filter import key_hashes
from streams.operations.dlq_store import Box
from tests.dlq.shop import CAPTURED, PARTITIONS, LetterBox, letter_box

ANN = "ann@bright.co.uk"
KEY, VALUE = b'{"cc_id":12}', b'{"after":{"cc_email":"Ann@bright.co.uk"}}'
REFUSED = Parked("record", ANN, "SO1", "insightData:badJson", "data", "price has another type", 1, 5, 6, "ab")


@pytest_asyncio.fixture
async def box(broker: Path) -> AsyncIterator[LetterBox]:
    async with letter_box(broker, f"dlq-{uuid4().hex[:8]}") as opened:
        yield opened


async def test_both_kinds_are_listed_without_personal_data(box: LetterBox) -> None:
    await box.bury(KEY, VALUE)
    await box.park(REFUSED)
    parked, dead = await box.listed()
    assert (dead.place, dead.stage, dead.code) == (Place("ingest", 1, 0), "ingest", "bad_text")
    assert dead.origin == Coordinates(CAPTURED, 1, 981)
    assert (parked.place.kind, parked.stage, parked.code) == ("delivery", "record", "insightData:badJson")
    assert "ann" not in repr([parked.facts(), dead.facts()])


async def test_a_retried_record_goes_whole_to_the_topic_of_retries_and_says_where_it_stood(box: LetterBox) -> None:
    await box.bury(KEY, VALUE)
    assert await box.act("retry", await box.listed()) == 1
    (record,) = await box.held(box.topics.retries)
    assert (record.key, record.value) == (KEY, VALUE)
    assert origin_of(record.headers, Coordinates("", 0, 0)) == (Coordinates(CAPTURED, 1, 981), 1)
    assert await box.held(CAPTURED) == []


async def test_a_record_of_a_stage_goes_back_to_the_stage(box: LetterBox) -> None:
    value = pack([Change(Kind.PART, ANN, "c1", b"\0" * 8, 1, 1, None)])
    await box.bury(None, value, "cannot_apply", "contacts", box.topics.contacts)
    assert await box.act("retry", await box.listed()) == 1
    (record,) = await box.held(box.topics.contacts)
    assert (record.partition, record.value) == (1, value)


@pytest.mark.parametrize("topic", [CAPTURED, "owdd-other.order-changes"])
async def test_a_stages_record_of_a_foreign_topic_is_left_where_it_is(box: LetterBox, topic: str) -> None:
    await box.bury(KEY, VALUE, "cannot_apply", "orders", topic)
    assert await box.act("retry", await box.listed()) == 0
    assert len(await box.listed()) == 1


async def test_the_owner_of_a_parked_delivery_is_asked_to_try_again(box: LetterBox) -> None:
    await box.park(REFUSED)
    assert await box.act("retry", await box.listed()) == 1
    (record,) = await box.held(box.topics.desired)
    assert record.partition == partition_of(ANN, PARTITIONS)
    (asked,) = unpack(record.value)
    assert (asked.kind, asked.key, asked.pk, asked.row) == (Kind.RETRY, ANN, "SO1", None)


@pytest.mark.parametrize("action", ["retry", "drop"])
async def test_what_is_done_is_no_longer_listed_and_who_did_it_is_known(box: LetterBox, action: Action) -> None:
    await box.bury(KEY, VALUE)
    await box.bury(KEY, VALUE, "bad_time")
    await box.park(REFUSED)
    (chosen,) = await box.listed(code="bad_time")
    await box.act(action, [chosen])
    assert {letter.code for letter in await box.listed()} == {"bad_text", "insightData:badJson"}
    assert {letter.code: letter.outcome for letter in await box.listed(closed=True)}["bad_time"] == action
    (entry,) = [read_audit(record.value) for record in await box.held(box.topics.audit)]
    assert entry == Acted(box.clock.now_ms(), "ops", action, "bad_time", 1, [str(chosen.place)])


async def test_dropping_sends_nothing(box: LetterBox) -> None:
    await box.bury(KEY, VALUE)
    await box.park(REFUSED)
    assert await box.act("drop", await box.listed()) == 2
    assert [*await box.held(box.topics.retries), *await box.held(box.topics.desired)] == []


async def test_a_delivery_that_is_parked_again_is_listed_again(box: LetterBox) -> None:
    await box.park(REFUSED)
    await box.act("retry", await box.listed())
    await box.park(Parked("record", ANN, "SO1", "insightData:badJson", "data", "again", 2, 5, 9, "ab"))
    (letter,) = await box.listed()
    assert letter.attempts == 2


async def test_a_delivery_that_has_ended_is_not_listed(box: LetterBox) -> None:
    await box.park(REFUSED)
    await box.park(Parked("record", ANN, "SO1", "", "", "", 1, 5, 9, "cd", state="cleared"))
    await box.park(Parked("record", ANN, "SO2", "x", "data", "", 1, 5, 9, "cd"))
    (letter,) = await box.listed()
    assert letter.code == "x"
    assert [letter.outcome for letter in await box.listed(closed=True)] == ["cleared", None]


@pytest.mark.parametrize("key", ["12", KEY.decode(), ANN, "ANN@bright.co.uk "])
async def test_letters_are_found_by_what_names_them(box: LetterBox, key: str) -> None:
    await box.bury(KEY, VALUE)
    await box.bury(b'{"cc_id":13}', b"{}")
    (letter,) = await box.listed(keys=key_hashes(key, box.hash_key))
    assert letter.place.offset == 0


@pytest.mark.parametrize(
    ("key", "stages"), [(ANN, {"contacts"}), ("c1", {"contacts", "buyers"}), ("1", {"buyers"}), ("7", {"buyers"})]
)
async def test_letters_of_a_stage_are_found_by_the_rows_that_they_name(box: LetterBox, key: str, stages: set[str]) -> None:
    await box.bury(None, pack([Change(Kind.PART, ANN, "c1", b"\0" * 8, 1, 1, None)]), "cannot_apply", "contacts")
    await box.bury(None, pack([Change(Kind.FACT, "c1", 7, b"\0" * 8, 1, 1, None)]), "cannot_apply", "buyers")
    found = await box.listed(keys=key_hashes(key, box.hash_key))
    assert {letter.stage for letter in found} == stages


async def test_a_letter_is_opened_by_its_place(box: LetterBox) -> None:
    await box.bury(KEY, VALUE)
    letter, record = await Box(box.settings).record(Place.parse("ingest/1@0"))
    assert (letter.code, record.value) == ("bad_text", VALUE)
    with pytest.raises(OwddError, match="nothing is at ingest/1@1"):
        await Box(box.settings).record(Place.parse("ingest/1@1"))


async def test_a_limited_rate_is_kept(box: LetterBox) -> None:
    for _ in range(4):
        await box.bury(KEY, VALUE)
    letters = await box.listed()
    begun = monotonic()
    await box.act("drop", letters, rate=20.0)
    assert monotonic() - begun >= 3 / 20
