"""One poll of ingest: what is retried, and what the ERP's flag sets going."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from aiokafka import TopicPartition

from streams.core.clock import ManualClock
from streams.core.errors import CircuitOpenError
from streams.ingest import batch
from streams.ingest.worker import Ingest
from streams.kafka.producer import BatchProducer
from streams.mapping import load_mapping
from streams.mapping.model import Erasure
from streams.messages.changes import ChangeKind, EraseAddress
from streams.messages.dead_letters import Coordinates, origin_headers, origin_of
from streams.messages.generation_log import KnownGenerations
from streams.messages.generations import Generation
from streams.messages.topics import Topics
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings
from tests.wire import unpack

MAPPING = load_mapping().model_copy(update={"erasure": Erasure(column="cc_gdpr_erased")})
TOPICS = Topics.of("owdd")
CONTACTS = MAPPING.topic(MAPPING.contact.table)
SETTINGS = Settings(partitions=2, breaker_window=10)
ANN = "ann@example.com"


class Sent:
    """A producer that remembers what was sent where, in order."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.values: dict[str, list[bytes]] = {}
        self.headers: list[dict[str, bytes]] = []

    async def send(self, topic: str, partition: int, entries: Iterable[tuple[bytes | None, bytes | None]]) -> int:
        self.topics.append(topic)
        self.values.setdefault(topic, []).extend(value for _, value in entries if value is not None)
        return 0

    async def send_one(
        self, topic: str, partition: int, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        await self.send(topic, partition, [(key, value)])
        self.headers.append(dict(headers))


def ingest(sent: Sent) -> Ingest:
    producer, progress = cast(BatchProducer, sent), ConsumedOffsets("group", [])
    return Ingest(SETTINGS, MAPPING, producer, Metrics(), ManualClock(), progress)


def record(value: bytes, offset: int = 0, headers: Any = ()) -> Any:
    return SimpleNamespace(key=b'{"cc_id":1}', value=value, offset=offset, timestamp=5, headers=headers)


def person(email: str | None, *, asks: bool, lsn: str = "00000001:00000001:0001") -> bytes:
    source = {"connector": "sqlserver", "table": "customer_contact", "commit_lsn": lsn, "ts_ms": 1}
    names = {"cc_first_name": "Ann", "cc_last_name": None, "cc_name": None}
    row = {"cc_id": 1, "cc_customer_id": 2, "cc_email": email, "cc_gdpr_erased": asks} | names
    return orjson.dumps({"before": None, "after": row, "source": source | {"snapshot": "false"}, "op": "u", "ts_ms": 1})


@pytest.mark.parametrize("topic", [CONTACTS, TOPICS.retries])
async def test_only_the_stream_itself_can_open_the_breaker(topic: str) -> None:
    working, polled = ingest(Sent()), {TopicPartition(topic, 0): [record(b"?", offset) for offset in range(20)]}
    if topic == TOPICS.retries:
        await working._poll(polled)
    else:
        with pytest.raises(CircuitOpenError):
            await working._poll(polled)


async def test_a_record_that_fails_again_is_a_letter_from_where_it_stood_first() -> None:
    sent = Sent()
    headers = origin_headers(Coordinates(CONTACTS, 1, 981), 2)
    await ingest(sent)._poll({TopicPartition(TOPICS.retries, 0): [record(b"?", 7, headers)]})
    (letter,) = sent.headers
    assert {name: letter[name] for name in ("topic", "partition", "offset", "attempts")} == {
        "topic": CONTACTS.encode(),
        "partition": b"1",
        "offset": b"981",
        "attempts": b"3",
    }


@pytest.mark.parametrize(("topic", "lsn"), [(CONTACTS, 0x0004), (TOPICS.retries, 0x0003)])
async def test_what_is_tried_again_stands_just_before_what_its_transaction_wrote(topic: str, lsn: int) -> None:
    sent = Sent()
    await ingest(sent)._poll({TopicPartition(topic, 0): [record(person(ANN, asks=False, lsn="00000001:00000001:0004"))]})
    (published,) = [change for value in sent.values[TOPICS.buyers] for change in unpack(value)]
    assert published.position == bytes.fromhex(f"0000 00000001 00000001 {lsn:04x}")


async def test_a_row_without_a_place_is_tried_again_where_it_stood() -> None:
    sent, place = Sent(), TopicPartition(CONTACTS, 0)
    streamed = record(person(ANN, asks=False, lsn="00000001:00000001:0004"))
    spoilt = person(None, asks=False).replace(b'"00000001:00000001:0001"', b"null").replace(b'"false"', b'"true"')
    working = ingest(sent)
    await working._poll({place: [streamed, record(spoilt.replace(b'"cc_email":null', b'"cc_email":5'), 1)]})
    (headers,) = sent.headers
    origin, attempts = origin_of(headers.items(), Coordinates("", 0, 0))
    assert origin == Coordinates(CONTACTS, 0, 1, bytes.fromhex("0000 00000001 00000001 0004"))

    sent.values.clear()
    later = record(person(ANN, asks=False, lsn="00000001:00000001:0009"), 2)
    await working._poll({place: [later]})
    await ingest(sent)._poll({TopicPartition(TOPICS.retries, 0): [record(spoilt, 0, origin_headers(origin, attempts))]})
    after, again = [change for value in sent.values[TOPICS.buyers] for change in unpack(value)]
    assert again.position == origin.newest < after.position


async def test_a_flag_starts_the_erasure_before_it_is_remembered_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def known(_: Settings) -> KnownGenerations:
        return KnownGenerations({2: Generation(number=2, by="", began=0, ends={})})

    monkeypatch.setattr(batch, "known_generations", known)
    sent = Sent()
    working = ingest(sent)
    for offset in range(2):
        await working._poll({TopicPartition(CONTACTS, 0): [record(person(ANN, asks=True), offset)]})
    assert sent.topics.index(TOPICS.contacts) < sent.topics.index(TOPICS.erasures)
    started = [change for value in sent.values[TOPICS.contacts] for change in unpack(value)]
    assert [(change.kind, change.key) for change in started] == [(ChangeKind.ERASURE, ANN)]
    assert isinstance(started[0].row, EraseAddress)
    # In every generation of the joins, for its ingest does not start it once the digest is known.
    assert sent.values[TOPICS.of_generation(2).contacts] == sent.values[TOPICS.contacts]
    assert len(sent.values[TOPICS.erasures]) == 1
    assert ANN.encode() not in b"".join(sent.values[TOPICS.buyers] + sent.values[TOPICS.erasures])
