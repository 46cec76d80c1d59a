"""What is set aside now: the numbers of the commands, whoever counts and since when."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.dispatch.outbox.parked import Parked
from streams.dotdigital.codes import CODES
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.removals import BRAKE_PARTITION, HeldRemovals, RemovalKind, write_held
from streams.operations import trouble_class
from streams.operations.open_entries import Causes, OpenEntries
from streams.operations.set_aside import SetAside, SetAsideFeed, set_aside_now
from streams.operations.trouble_class import TroubleClass
from tests.dlq.dlq_harness import LetterBox, letter_box

ANN = Parked("record", "ann@bright.co.uk", "rSO1", "insightData:badJson", "data", "price has another type", 1, 5, 6, "ab")
BEN = replace(ANN, key="ben@bright.co.uk", task_key="rSO2", code="insightData:collectionNotFound")


@pytest_asyncio.fixture
async def store(broker: Path) -> AsyncIterator[LetterBox]:
    async with letter_box(broker, f"aside-{uuid4().hex[:8]}") as opened:
        yield opened


def counts(found: Sequence[SetAside]) -> dict[tuple[str, str], int]:
    return {(item.kind.value, item.cause): item.count for item in found}


async def hold_back(store: LetterBox, count: int) -> None:
    held = HeldRemovals(RemovalKind.CONTACTS, 1, 2, count)
    await store.producer.send_one(store.topics.removals, BRAKE_PARTITION, b"contacts", write_held(held))


async def test_the_gauges_say_what_the_commands_list_and_a_restart_changes_nothing(store: LetterBox) -> None:
    async with reader(KafkaConfig.of(store.settings)) as consumer:
        feed = SetAsideFeed(store.settings, consumer)

        async def shown() -> dict[tuple[str, str], int]:
            changed = await feed.refresh()
            assert not await feed.refresh()
            found = counts(list(feed.counts()))
            # Another process that begins now sees the same, and so does the command.
            assert counts(await set_aside_now(store.settings)) == found
            listed = Counter(
                ("dead_letter" if entry.position.kind == "ingest" else "parked", entry.code) for entry in await store.listed()
            )
            assert {key: count for key, count in found.items() if key[0] != "removals"} == listed
            assert changed
            return found

        assert await shown() == {}
        for code in ("bad_text", "bad_text", "ambiguous_time"):
            await store.dead_letter(b"{}", b"{}", code)
        await store.park(ANN)
        await store.park(BEN)
        await hold_back(store, 40)
        assert await shown() == {
            ("dead_letter", "bad_text"): 2,
            ("dead_letter", "ambiguous_time"): 1,
            ("parked", ANN.code): 1,
            ("parked", BEN.code): 1,
            ("removals", "contacts"): 40,
        }
        # Parked again for another reason, one that parks no more, and an operator who settles a code.
        await store.park(replace(ANN, code="contacts:invalidId"))
        await store.park(replace(BEN, state="cleared"))
        await store.act("drop", await store.listed(code="bad_text"))
        await hold_back(store, 0)
        assert await shown() == {("dead_letter", "ambiguous_time"): 1, ("parked", "contacts:invalidId"): 1}
        await store.act("retry", await store.listed(code="contacts:invalidId"))
        assert await shown() == {("dead_letter", "ambiguous_time"): 1}


def test_every_cause_has_a_class() -> None:
    assert trouble_class.of_dead_letter("unreadable_address") is TroubleClass.DATA
    assert (
        trouble_class.of_dead_letter("bad_schema") is trouble_class.of_dead_letter("cannot_apply") is TroubleClass.CONFIGURATION
    )
    assert {trouble_class.of_parked(code) for code in (*CODES, "never seen")} == set(TroubleClass) - {TroubleClass.WAITING}
    assert trouble_class.of_held("unknown_status") is TroubleClass.CONFIGURATION
    assert trouble_class.of_held("customer_not_loaded") is trouble_class.of_held("order_without_total") is TroubleClass.WAITING
    assert trouble_class.of_held("unreadable_address") is TroubleClass.DATA


def test_the_codes_that_are_data_are_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "dead-letters.md").read_text()
    assert [code for code in trouble_class._DATA_CODES if f"`{code}`" not in page] == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 3), st.sampled_from("ab")),
        st.tuples(st.just("close"), st.integers(0, 40), st.just("")),
        st.tuples(st.just("forget"), st.integers(0, 40), st.just("")),
    )
)


@given(STEPS)
def test_open_entries_are_those_that_nobody_closed_and_retention_left(steps: list[tuple[str, int, str]]) -> None:
    entries, model, end = OpenEntries(Causes()), dict[int, str](), 0
    for step, number, cause in steps:
        if step == "open":
            end += number  # a gap of so many, as compaction and markers leave
            model[end] = cause
            entries.open(end, cause)
            end += 1
        elif step == "close":
            model.pop(number, None)
            entries.close(number)
        else:
            begin = min(number, end)
            model = {offset: cause for offset, cause in model.items() if offset >= begin}
            entries.forget_before(begin)
    assert entries.counts() == Counter(model.values())


def test_causes_beyond_the_254th_are_counted_together() -> None:
    entries = OpenEntries(Causes())
    for number in range(300):
        entries.open(number, f"code-{number}")
    found = entries.counts()
    assert found["code-0"] == 1
    assert found["other"] == 300 - 254
