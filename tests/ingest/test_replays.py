"""A replayed row is emitted in its newest version, whichever way replay and live traffic interleave."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from aiokafka import TopicPartition

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.ingest import batch
from streams.ingest.replays import Replays
from streams.kafka.producer import BatchProducer
from streams.mapping import load_mapping
from streams.mapping.model import Erasure
from streams.messages.changes import Change, ChangeKind
from streams.messages.generation_log import KnownGenerations
from streams.messages.replays import ReplayRequest, write_request
from streams.messages.topics import Topics
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings
from tests.wire import unpack

MAPPING = load_mapping().model_copy(update={"erasure": Erasure(column="cc_gdpr_erased")})
TOPIC = MAPPING.topic("customer_contact")
TOPICS = Topics.of("owdd")
PLACE = TopicPartition(TOPIC, 0)


class Log:
    """A captured partition, and the consumer that reads it."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self._position = 0

    def write(self, number: int, email: str, lsn: int | None, *, op: str = "u", asks: bool = False) -> int:
        place = None if lsn is None else f"00000001:00000001:{lsn:04x}"
        source = {"connector": "sqlserver", "table": "customer_contact", "commit_lsn": place}
        row = {"cc_id": number, "cc_customer_id": 7, "cc_email": email, "cc_gdpr_erased": asks}
        row |= {"cc_first_name": "Ann", "cc_last_name": None, "cc_name": None}
        images = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
        value = images | {"source": source | {"snapshot": "true" if op == "r" else "false"}, "op": op, "ts_ms": 1}
        return self._append(number, orjson.dumps(value))

    def tombstone(self, number: int) -> int:
        return self._append(number, None)

    def _append(self, number: int, value: bytes | None) -> int:
        key, offset = orjson.dumps({"cc_id": number}), len(self.records)
        self.records.append(SimpleNamespace(key=key, value=value, offset=offset, timestamp=5, topic=TOPIC, partition=0))
        return offset

    def compact(self) -> None:
        newest = {record.key: record.offset for record in self.records if record is not None}
        self.records = [record if newest[record.key] == record.offset else None for record in self.records]

    def assign(self, places: list[TopicPartition]) -> None:
        assert places == [PLACE]

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, len(self.records))

    def pause(self, *places: TopicPartition) -> None:
        assert places == (PLACE,)

    def seek(self, _: TopicPartition, offset: int) -> None:
        self._position = offset

    async def position(self, _: TopicPartition) -> int:
        return self._position

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        found = [record for record in self.records[self._position :] if record is not None]
        self._position = len(self.records)
        return {PLACE: found}


class Emitted:
    """The producer: changes in the order in which they went out; ``after`` runs behind the first batch."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.letters: list[bytes] = []
        self.after: Callable[[], object] | None = None

    async def send(self, topic: str, _partition: int, entries: Iterable[tuple[bytes | None, bytes]]) -> int:
        self.changes += [change for _, value in entries for change in unpack(value)]
        if self.after is not None:
            after, self.after = self.after, None
            after()
        return 0

    async def send_one(self, topic: str, _partition: int, _key: Any, value: Any, headers: Any = ()) -> None:
        if topic == TOPICS.contacts:
            self.changes += unpack(value)
        if topic == TOPICS.dead_letters:
            self.letters.append(dict(headers)[b"code".decode()])

    def emails(self) -> list[Any]:
        return [getattr(change.row, "emails", None) for change in self.changes if change.kind is ChangeKind.CONTACT]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


def replays_of(emitted: Emitted) -> Replays:
    producer, progress = cast(BatchProducer, emitted), ConsumedOffsets("group", [])
    return Replays(Settings(partitions=1), MAPPING, producer, Metrics(), ManualClock(), progress)


async def replay(log: Log, emitted: Emitted, offsets: list[int], until: int | None = None, topic: str = TOPIC) -> None:
    replays = replays_of(emitted)
    request = ReplayRequest("run", topic, 0, offsets, len(log.records) if until is None else until)
    record = SimpleNamespace(topic=TOPICS.replays, partition=0, offset=0, key=b"run", value=write_request(request))
    await replays._answer(log, record)


async def test_rows_are_emitted_in_the_bulk_lane_at_their_own_positions(log: Log, emitted: Emitted) -> None:
    log.write(1, "ann@example.com", 1)
    await replay(log, emitted, [log.write(2, "bob@example.com", 2)])
    (change,) = emitted.changes
    assert (change.kind, change.key, change.lane, change.position[-1]) == (ChangeKind.CONTACT, "c7", Lane.BULK, 2)
    assert emitted.emails() == [("bob@example.com",)]


async def test_a_newer_version_that_the_operators_process_did_not_see_is_taken_instead(log: Log, emitted: Emitted) -> None:
    first = log.write(1, "old@example.com", 1)
    log.write(2, "bob@example.com", 1)
    log.write(1, "new@example.com", 1)
    await replay(log, emitted, [first], until=first + 1)
    assert emitted.emails() == [("new@example.com",)]


async def test_a_version_of_the_same_transaction_that_comes_meanwhile_is_emitted_last(log: Log, emitted: Emitted) -> None:
    first = log.write(1, "old@example.com", 1)
    emitted.after = lambda: log.write(1, "new@example.com", 1)
    await replay(log, emitted, [first])
    assert emitted.emails() == [("old@example.com",), ("new@example.com",)]


async def test_a_later_transaction_that_comes_meanwhile_needs_no_replay(log: Log, emitted: Emitted) -> None:
    first = log.write(1, "old@example.com", 1)
    emitted.after = lambda: log.write(1, "new@example.com", 2)
    await replay(log, emitted, [first])
    assert emitted.emails() == [("old@example.com",)]


async def test_a_snapshots_row_without_a_place_that_comes_meanwhile_is_emitted_last(log: Log, emitted: Emitted) -> None:
    first = log.write(1, "old@example.com", 1)
    emitted.after = lambda: log.write(1, "read@example.com", None, op="r")
    await replay(log, emitted, [first])
    assert emitted.emails() == [("old@example.com",), ("read@example.com",)]
    assert len({change.position for change in emitted.changes}) == 1


async def test_a_record_that_compaction_removed_is_left_out(log: Log, emitted: Emitted) -> None:
    first = log.write(1, "old@example.com", 1)
    until = len(log.records)
    log.write(1, "new@example.com", 2)
    log.compact()
    await replay(log, emitted, [first], until)
    assert emitted.emails() == []


async def test_a_deleted_row_is_deleted_again(log: Log, emitted: Emitted) -> None:
    log.write(1, "ann@example.com", 1)
    gone = log.write(1, "ann@example.com", 2, op="d")
    log.tombstone(1)
    await replay(log, emitted, [gone])
    (change,) = emitted.changes
    assert (change.row, change.position[-1]) == (None, 2)


async def test_a_flag_that_requests_an_erasure_is_urgent(log: Log, emitted: Emitted, monkeypatch: pytest.MonkeyPatch) -> None:
    async def known(_: Settings) -> KnownGenerations:
        return KnownGenerations()

    monkeypatch.setattr(batch, "known_generations", known)
    await replay(log, emitted, [log.write(1, "ann@example.com", 1, asks=True)])
    assert {change.kind: change.lane for change in emitted.changes} == {
        ChangeKind.ERASURE: Lane.URGENT,
        ChangeKind.CONTACT: Lane.BULK,
    }


@pytest.mark.parametrize(("topic", "offsets"), [("elsewhere", [0]), (TOPIC, [])])
async def test_a_request_that_names_nothing_is_a_dead_letter(
    log: Log, emitted: Emitted, topic: str, offsets: list[int]
) -> None:
    await replay(log, emitted, offsets, topic=topic)
    assert (emitted.changes, emitted.letters) == ([], [b"bad_replay_request"])


class Requests:
    """The consumer of topic ``replays``, and its positions: what happens, in order."""

    def __init__(self, *values: bytes) -> None:
        topic = TOPICS.replays
        self.place = TopicPartition(topic, 0)
        self.waiting = [
            SimpleNamespace(topic=topic, partition=0, offset=offset, key=b"run", value=value)
            for offset, value in enumerate(values)
        ]
        self.happened: list[str] = []

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        polled, self.waiting = self.waiting[:max_records], self.waiting[max_records:]
        return {self.place: polled} if polled else {}

    async def find(self) -> set[TopicPartition]:
        return set()

    async def check_unread(self, _: dict[TopicPartition, list[Any]]) -> None:
        pass

    def finished(self, _: TopicPartition, record: Any) -> None:
        self.happened.append(f"finished {record.offset}")

    async def idle(self) -> None:
        self.happened.append("idle")

    async def commit(self) -> None:
        self.happened.append("commit")


class Erased(AsyncExitStack):
    """Nobody is."""

    async def refresh(self) -> None:
        pass

    def __bool__(self) -> bool:
        return False


@pytest.fixture
def working(log: Log, emitted: Emitted, monkeypatch: pytest.MonkeyPatch) -> Replays:
    """With the captured log behind it, and no connection."""

    @asynccontextmanager
    async def back(_: object) -> AsyncIterator[Log]:
        yield log

    monkeypatch.setattr("streams.ingest.replays.committed_reader", back)
    replays = replays_of(emitted)
    monkeypatch.setattr(replays._rows, "erased", Erased())
    return replays


async def test_each_request_is_committed_before_the_next_is_read(log: Log, working: Replays) -> None:
    offset = log.write(1, "ann@example.com", 1)
    request = write_request(ReplayRequest("run", TOPIC, 0, [offset], 1))
    requests = Requests(request, b"?", request)
    await working._work(cast(Any, requests), cast(Any, requests))
    assert requests.happened == ["finished 0", "commit", "finished 1", "commit", "finished 2", "commit", "idle", "commit"]


async def test_a_worker_that_is_to_end_finishes_the_request_in_hand_and_no_other(
    log: Log, emitted: Emitted, working: Replays
) -> None:
    offset = log.write(1, "ann@example.com", 1)
    requests = Requests(*[write_request(ReplayRequest("run", TOPIC, 0, [offset], 1))] * 3)
    emitted.after = working.stop
    await working._work(cast(Any, requests), cast(Any, requests))
    assert (requests.happened, emitted.emails()) == (["finished 0", "commit"], [("ann@example.com",)])
