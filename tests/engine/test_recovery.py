"""Recovery reads a changelog without a gap, or ends loudly; on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest
import rocksdict
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.core.clock import ManualClock
from streams.engine.recovery import RecoveryError, changelog_reader
from streams.engine.store import Store, StorePosition
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.settings import Settings
from testkit.local_services import kafka
from tests.engine.changelogs import Log, numbered, rows
from tests.patience import PATIENCE

Fetched = dict[Any, list[Any]]


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=1)


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[BatchProducer]:
    async with BatchProducer(settings) as made:
        yield made


@pytest.fixture
async def log(settings: Settings, producer: BatchProducer) -> Log:
    return await Log(settings, producer).create()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


class Mangled:
    """A reader whose records ``mangle`` changes on their way into recovery."""

    def __init__(self, log: Log, mangle: Callable[[Fetched], Fetched]) -> None:
        self._reader: AIOKafkaConsumer = changelog_reader(KafkaConfig.of(log.settings))
        self._mangle = mangle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def __aenter__(self) -> Self:
        await self._reader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.stop()

    async def getmany(self, *places: Any, **options: Any) -> Fetched:
        return self._mangle(await self._reader.getmany(*places, **options))


async def test_the_progress_of_a_reading_is_known(log: Log, store: Store) -> None:
    last = await log.append(numbered(0, 20_000))
    seen: list[tuple[int, int]] = []
    await log.recover(store, progress=lambda _, read, left: seen.append((read, left)))
    assert seen[0] == (0, last + 1)
    assert seen[-1][0] == 20_000 and seen[-1][1] <= 1, "a transaction's marker may stand last"
    assert len(seen) > 2
    assert seen == sorted(seen) and [left for _, left in seen] == sorted((left for _, left in seen), reverse=True)


async def test_a_lost_state_is_read_whole(log: Log, store: Store) -> None:
    await log.append(numbered(0, 20_000))
    last = await log.append([(b"000007", None), (b"000008", b"new")])
    assert [(one.end, one.records) for one in await log.recover(store)] == [(20_002, 20_002)]
    expected = dict(numbered(0, 20_000)) | {b"000008": b"new"}
    del expected[b"000007"]
    assert rows(store) == expected
    assert store.note.offset == last


async def test_what_the_state_holds_is_not_applied_again(log: Log, store: Store) -> None:
    await log.append(numbered(0, 1000))
    await log.recover(store)
    assert [one.records for one in await log.recover(store)] == [0]
    await log.append(numbered(500, 600, b"y"))
    assert [one.records for one in await log.recover(store)] == [100]
    assert rows(store) == dict(numbered(0, 1000)) | dict(numbered(500, 600, b"y"))


async def test_several_partitions_are_read_together(settings: Settings, producer: BatchProducer, tmp_path: Path) -> None:
    log = await Log(settings, producer, partitions=3).create()
    stores = [Store(tmp_path / f"{number}.db") for number in range(3)]
    for number in range(3):
        await log.append(numbered(0, 9000 + number), partition=number)
    assert {one.place.partition: one.records for one in await log.recover(*stores)} == {0: 9000, 1: 9001, 2: 9002}
    assert [len(rows(store)) for store in stores] == [9000, 9001, 9002]
    for store in stores:
        store.close()


async def test_an_empty_changelog_is_recovered_at_once(log: Log, store: Store) -> None:
    assert [(one.end, one.records) for one in await log.recover(store)] == [(0, 0)]
    assert store.note.offset == -1


async def test_a_recovery_that_is_interrupted_goes_on_where_it_was(log: Log, store: Store) -> None:
    await log.append(numbered(0, 30_000))
    for fetches in (2, 3):
        left = fetches

        def interrupting(fetched: Fetched) -> Fetched:
            nonlocal left
            left -= bool(fetched)
            if left < 0:
                # As a rebalance: what this call brought is lost with the task.
                raise asyncio.CancelledError
            return fetched

        with pytest.raises(asyncio.CancelledError):
            await log.recover(store, reader=Mangled(log, interrupting))
    before = store.note.offset
    assert 0 < before < 29_999
    assert [one.records for one in await log.recover(store)] == [29_999 - before]
    assert rows(store) == dict(numbered(0, 30_000))


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_lost_on_the_way_is_asked_for_again(log: Log, store: Store, seed: int) -> None:
    rng, lost = Random(seed), set[int]()

    def losing(fetched: Fetched) -> Fetched:
        kept: Fetched = {}
        for place, records in fetched.items():
            # All of a fetch, as when a queue is emptied, or its end; but nothing twice.
            keep = rng.choice([0, len(records) // 2, len(records)])
            if keep < len(records) and records[keep].offset in lost:
                keep = len(records)
            lost.update(record.offset for record in records[keep:])
            if keep:
                kept[place] = records[:keep]
        return kept

    await log.append(numbered(0, 30_000))
    await log.recover(store, reader=Mangled(log, losing))
    assert lost
    assert rows(store) == dict(numbered(0, 30_000))


def repeated(records: list[Any]) -> list[Any]:
    return [*records[:10], *records[5:]]


def mixed(records: list[Any]) -> list[Any]:
    return [*records[:5], records[6], records[5], *records[7:]]


def of_another_partition(records: list[Any]) -> list[Any]:
    return [*records[:-1], replace(records[-1], partition=1)]


def of_another_table(records: list[Any]) -> list[Any]:
    return [replace(record, topic="other") for record in records]


def from_beyond(records: list[Any]) -> list[Any]:
    return [*records[:-1], replace(records[-1], offset=records[-1].offset + 1000)]


@pytest.mark.parametrize("mangle", [repeated, mixed, of_another_partition, of_another_table, from_beyond])
async def test_what_is_repeated_or_mixed_on_the_way_ends_the_recovery(
    log: Log, store: Store, mangle: Callable[[list[Any]], list[Any]]
) -> None:
    await log.append(numbered(0, 1000))
    with pytest.raises(RecoveryError):
        await log.recover(
            store, reader=Mangled(log, lambda fetched: {place: mangle(records) for place, records in fetched.items()})
        )
    assert not rows(store), "nothing of such a fetch is applied"
    await log.recover(store)
    assert rows(store) == dict(numbered(0, 1000))


async def test_records_that_nobody_asked_for_end_the_recovery(log: Log, store: Store) -> None:
    await log.append(numbered(0, 10))
    other = log.places[0]._replace(partition=7)

    def misplaced(fetched: Fetched) -> Fetched:
        return dict(zip([other], fetched.values(), strict=False))

    with pytest.raises(RecoveryError):
        await log.recover(store, reader=Mangled(log, misplaced))


async def test_a_store_that_is_not_where_its_log_ends_is_not_opened(log: Log, store: Store) -> None:
    await log.append(numbered(0, 10))

    await log.recover(store)
    await log.append(numbered(0, 10))

    class AtTheEnd(Mangled):
        def pause(self, *places: Any) -> None:
            store.write({}, replace(store.note, offset=3))

    with pytest.raises(RecoveryError, match="state is at 3"):
        await log.recover(store, reader=AtTheEnd(log, lambda fetched: fetched))


async def transaction(log: Log, settings: Settings, key: bytes, *, commit: bool) -> None:
    writer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, transactional_id=f"{log.topic}-{key.decode()}")
    await writer.start()
    await writer.begin_transaction()
    written = await writer.send_and_wait(log.topic, b"x", key, partition=0)
    await (writer.commit_transaction() if commit else writer.abort_transaction())
    # The coordinator answers before it has written the marker: the next record would take the marker's offset.
    async with asyncio.timeout(PATIENCE), changelog_reader(KafkaConfig.of(settings)) as reader:
        while (await reader.end_offsets(log.places))[log.places[0]] <= written.offset + 1:
            await asyncio.sleep(0.01)
    await writer.stop()


async def test_transaction_markers_at_the_end_and_in_between_do_not_hold_it_up(
    log: Log, store: Store, settings: Settings
) -> None:
    await transaction(log, settings, b"a", commit=True)
    await transaction(log, settings, b"b", commit=False)
    await log.append([(b"c", b"x")])
    await transaction(log, settings, b"d", commit=True)
    assert [one.end for one in await log.recover(store)] == [7]
    assert rows(store) == {b"a": b"x", b"c": b"x", b"d": b"x"}
    assert store.note.offset == 5, "the last data record's, before the marker"
    await transaction(log, settings, b"e", commit=False)
    assert [one.end for one in await log.recover(store)] == [9]
    assert rows(store).keys() == {b"a", b"c", b"d"}


async def test_gaps_of_compaction_are_the_logs_own(settings: Settings, producer: BatchProducer, store: Store) -> None:
    log = await Log(settings, producer).create(segment_ms="50", min_cleanable_dirty_ratio="0.001", delete_retention_ms="0")
    for _ in range(5):
        await log.append(numbered(0, 2000, b"old"))
        await asyncio.sleep(0.1)  # a segment is closed by its age
    end = await log.append(numbered(1000, 2000, b"new"))
    async with asyncio.timeout(PATIENCE):
        while (await fresh(log, store))[0].records > 4000:
            await asyncio.sleep(1)
    assert store.note.offset == end
    assert rows(store) == dict(numbered(0, 1000, b"old")) | dict(numbered(1000, 2000, b"new"))


async def fresh(log: Log, store: Store) -> list[Any]:
    store.empty()
    return await log.recover(store)


async def test_a_state_below_the_logs_beginning_is_read_anew(settings: Settings, producer: BatchProducer, store: Store) -> None:
    log = await Log(settings, producer).create(cleanup_policy="compact,delete")
    await log.append([(b"gone", b"x"), (b"kept", b"x")])
    await log.recover(store)
    await log.append([(b"gone", None), (b"kept", b"y"), (b"more", b"z")])
    await log.delete_before(3)
    await log.recover(store)
    assert rows(store) == {b"kept": b"y", b"more": b"z"}


async def test_a_state_that_ends_right_before_the_logs_beginning_goes_on(
    settings: Settings, producer: BatchProducer, store: Store
) -> None:
    log = await Log(settings, producer).create(cleanup_policy="compact,delete")
    await log.append([(b"a", b"x"), (b"b", b"x")])
    await log.recover(store)
    await log.append([(b"c", b"x")])
    await log.delete_before(2)
    await log.recover(store)
    assert rows(store).keys() == {b"a", b"b", b"c"}


async def test_a_state_that_is_ahead_of_its_log_notes_what_the_log_lost(log: Log, store: Store) -> None:
    await log.append([(b"a", b"1"), (b"b", b"1"), (b"c", b"1")])
    await log.recover(store)
    # What was written after that is lost in the log, and not in the state.
    store.write({b"a": b"2", b"b": None, b"d": b"2"}, StorePosition(9, 1, 1, store.note.synced_ms))
    await log.recover(store)
    assert rows(store) == {b"a": b"2", b"c": b"1", b"d": b"2"}
    assert store.stale() == [b"a", b"b", b"d"]
    assert store.note.offset == 2
    await log.recover(store)
    assert rows(store) == {b"a": b"2", b"c": b"1", b"d": b"2"}


async def test_a_state_that_is_ahead_of_a_log_that_others_went_on_with_follows_them(log: Log, store: Store) -> None:
    await log.append([(b"a", b"1")])
    await log.recover(store)
    store.write({b"a": b"2"}, StorePosition(9, 1, 1, store.note.synced_ms))
    await log.append([(b"b", b"1")], epoch=2)
    await log.recover(store)
    assert rows(store) == {b"a": b"1", b"b": b"1"}
    assert not store.stale()


async def test_a_log_that_was_cut_and_grew_again_is_read_anew(log: Log, store: Store) -> None:
    await log.append([(b"a", b"1")])
    await log.append([(b"b", b"1")], epoch=2)
    # This store saw another record at that offset, by a writer of its own.
    store.write({b"lost": b"x"}, StorePosition(1, 1, 1, ManualClock().now_ms()))
    await log.recover(store, clock=ManualClock())
    assert rows(store) == {b"a": b"1", b"b": b"1"}


async def test_an_outdated_writers_records_are_skipped_and_noted(log: Log, store: Store) -> None:
    await log.append([(b"a", b"1"), (b"b", b"1")], epoch=1)
    await log.append([(b"a", b"2"), (b"c", b"2")], epoch=2)
    await log.append([(b"a", b"old"), (b"b", b"old"), (b"d", b"old")], epoch=1)
    await log.append([(b"b", b"2")], epoch=2)
    await log.recover(store)
    assert rows(store) == {b"a": b"2", b"b": b"2", b"c": b"2"}
    assert set(store.stale()) >= {b"a", b"d"}
    assert store.note.epoch == 2


async def test_records_of_an_older_version_have_no_epoch_and_hold(log: Log, store: Store) -> None:
    await log.append([(b"a", b"1")], epoch=3)
    await log.producer.send(log.topic, 0, [(b"a", b"2")])
    await log.recover(store)
    assert rows(store) == {b"a": b"2"}
    assert not store.stale()


@pytest.mark.parametrize(("hours", "anew"), [(1, False), (13, True), (-13, True)])
async def test_a_state_that_may_have_missed_a_tombstone_is_read_anew(log: Log, store: Store, hours: int, *, anew: bool) -> None:
    clock = ManualClock()
    await log.append([(b"a", b"1"), (b"b", b"1")])
    await log.recover(store, clock=clock)
    # Its tombstone is compacted away.
    store.write({b"ghost": b"x"}, store.note)
    clock.advance(3600 * hours)
    await log.recover(store, clock=clock)
    assert (b"ghost" not in rows(store)) == anew


def test_state_of_an_older_version_is_emptied(tmp_path: Path) -> None:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    old = rocksdict.Rdict(str(tmp_path / "old.db"), options)
    old[b"row"], old[b"__faust\0offset__"] = b"x", b"7"
    old.close()
    store = Store(tmp_path / "old.db")
    assert (rows(store), store.note.offset) == ({}, -1)
    store.close()


def test_a_store_remembers_where_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    store.write({b"a": b"1", b"b": None}, StorePosition(4, 2, 3, 5), stale=[b"c"])
    store.close()
    again = Store(tmp_path / "a.db")
    assert (rows(again), again.note, again.stale()) == ({b"a": b"1"}, StorePosition(4, 2, 3, 5), [b"c"])
    again.superseded([b"c"])
    assert not again.stale()
    again.close()
