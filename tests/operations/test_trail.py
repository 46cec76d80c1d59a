"""The audit trail: whatever is changed, taken out, slipped in or cut is seen, and a signed cut is none."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.kafka.producer import BatchProducer, HeadedRecord
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.audit import ErasureResult, TrailCheckpoint, WritesControlled, read_audit, write_audit
from streams.messages.audit_chain import link_of
from streams.messages.audit_log import AuditLog
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.topic_admin import apply_topics
from streams.operations.trail import Checkpoints, Trail, TrailRecord, cut_before, problems, read_trail, seal_of
from streams.settings import Settings
from testkit.local_services import kafka

KEY = b"a key"
PARTITIONS = 2


class Topic:
    """The audit topic in memory; one millisecond passes with each record."""

    def __init__(self) -> None:
        self.records: list[TrailRecord] = []
        self.begins = dict.fromkeys(range(PARTITIONS), 0)
        self.refusing = False
        self.keys = [KEY]

    async def append(self, _topic: str, partition: int, entries: Iterable[HeadedRecord]) -> None:
        if self.refusing:
            raise OSError("the broker is gone")
        for key, value, headers in entries:
            self.put(partition, key, value, headers)

    def put(self, partition: int, key: bytes | None, value: bytes | None, headers: Any = None) -> None:
        offset = self.trail.ends[partition]
        # As it is read back: from its bytes.
        entry = None if value == b"?" else read_audit(value or b"")
        self.records.append(TrailRecord(partition, offset, len(self.records), key, value, link_of(headers), entry))

    def writer(self) -> AuditLog:
        return AuditLog(cast(BatchProducer, self), "audit", PARTITIONS, self.keys[-1])

    @property
    def trail(self) -> Trail:
        ends = dict(self.begins)
        for record in self.records:
            ends[record.partition] = max(ends[record.partition], record.offset + 1)
        return Trail(tuple(self.records), dict(self.begins), ends)

    def found(self) -> list[tuple[str, str]]:
        return [(problem.code, problem.place) for problem in problems(self.trail, self.keys)]

    async def seal(self, begins: dict[int, int] | None = None) -> None:
        trail = self.trail
        chosen = begins or dict(trail.begins)
        count, digest = seal_of(trail, chosen, trail.ends, KEY)
        entry = TrailCheckpoint(0, "kim", chosen, dict(trail.ends), count, digest)
        await self.writer().write(entry, b"checkpoint")

    def cut(self, begins: dict[int, int]) -> None:
        self.begins = begins
        self.records = [record for record in self.records if record.offset >= begins[record.partition]]

    def without(self, place: str) -> None:
        self.records = [record for record in self.records if record.place != place]


def result(partition: int) -> tuple[bytes, bytes]:
    return b"d", write_audit(ErasureResult("d", "orders", partition, 1, 1))


@pytest.fixture
async def topic() -> Topic:
    """Two writers, three entries each, in both partitions, in turns."""
    made = Topic()
    writers = [made.writer(), made.writer()]
    for number in range(3):
        for writer in writers:
            await writer.append(number % 2, [result(number)])
    assert made.found() == []
    return made


async def test_entries_and_seals_under_a_former_key_stay_good(topic: Topic) -> None:
    await topic.seal()
    topic.keys.append(b"a newer key")
    await topic.writer().append(0, [result(0)])
    assert topic.found() == []
    topic.keys = topic.keys[1:]
    assert ("altered", "0@0") in topic.found()


def test_an_entry_that_was_changed_is_found(topic: Topic) -> None:
    topic.records[2] = replace(topic.records[2], value=write_audit(ErasureResult("d", "orders", 1, 99, 1)))
    assert ("altered", topic.records[2].place) in topic.found()


def test_an_entry_that_was_taken_out_is_found_at_the_one_behind_it(topic: Topic) -> None:
    topic.without("1@0")
    assert topic.found() == [("entries_missing", "0@2")]


def test_an_entry_that_somebody_slipped_in_is_found(topic: Topic) -> None:
    topic.put(0, *result(0))
    assert topic.found() == [("no_link", topic.records[-1].place)]


def test_an_entry_that_was_copied_is_found(topic: Topic) -> None:
    topic.records.append(replace(topic.records[0], offset=9, at=99))
    assert topic.found() == [("repeated", "0@9")]


async def test_a_link_of_another_key_is_none(topic: Topic) -> None:
    await AuditLog(cast(BatchProducer, topic), "audit", PARTITIONS, b"another").append(0, [result(0)])
    assert topic.found() == [("altered", topic.records[-1].place)]


@pytest.mark.parametrize("header", [None, b"", b"\xff/1/0/0", b"w/1/0", b"w/one/0/0", b"w/" + b"1" * 5_000 + b"/0/0"])
def test_a_header_that_is_no_link_of_ours_is_found(topic: Topic, header: bytes | None) -> None:
    topic.put(0, *result(0), [("chain", header)])
    assert [place for _, place in topic.found()] == [topic.records[-1].place]


async def test_an_entry_that_nobody_can_read_is_found(topic: Topic) -> None:
    await topic.writer().append(0, [(None, b"?")])
    assert topic.found() == [("unreadable", topic.records[-1].place)]


async def test_a_writer_whose_append_failed_goes_on_in_a_new_chain(topic: Topic) -> None:
    writer = topic.writer()
    await writer.append(0, [result(0)])
    topic.refusing = True
    with pytest.raises(OSError):
        await writer.append(0, [result(0)])
    topic.refusing = False
    await writer.append(0, [result(0)])
    assert topic.found() == []
    first, second = (record.link for record in topic.records[-2:])
    assert first is not None and second is not None
    assert (first.writer != second.writer, second.sequence) == (True, 1)


async def test_writes_at_once_are_one_chain(topic: Topic) -> None:
    writer = topic.writer()
    await asyncio.gather(*(writer.append(number % 2, [result(number)]) for number in range(8)))
    assert topic.found() == []


async def test_a_beginning_that_is_gone_is_found_unless_a_checkpoint_let_it_go(topic: Topic) -> None:
    begins = cut_before(topic.trail, 3)
    assert begins == {0: 2, 1: 1}
    unsigned = Topic()
    unsigned.records = list(topic.records)
    unsigned.cut(begins)
    assert {code for code, _ in unsigned.found()} == {"entries_missing"}

    await topic.seal(begins)
    assert topic.found() == [], "before the cut"
    topic.cut(begins)
    assert topic.found() == [], "after it"
    await topic.writer().append(0, [result(0)])
    assert topic.found() == []
    topic.cut({0: 3, 1: 1})
    assert {code for code, _ in topic.found()} == {"cut_without_checkpoint", "sealed_part_changed"}


async def test_the_end_of_a_chain_that_was_sealed_cannot_be_taken_off(topic: Topic) -> None:
    last = topic.records[-1].place
    await topic.seal()
    topic.without(last)
    assert topic.found() == [("sealed_part_changed", "")]


async def test_a_checkpoint_that_somebody_made_up_counts_for_nothing(topic: Topic) -> None:
    count, digest = seal_of(topic.trail, {0: 2, 1: 1}, topic.trail.ends, b"another")
    topic.put(0, b"checkpoint", write_audit(TrailCheckpoint(0, "eve", {0: 2, 1: 1}, dict(topic.trail.ends), count, digest)))
    forged = topic.records[-1].place
    topic.cut({0: 2, 1: 1})
    assert ("no_link", forged) in topic.found()
    assert "entries_missing" in {code for code, _ in topic.found()}


async def test_a_chain_goes_on_behind_its_sealed_part(topic: Topic) -> None:
    writer = topic.writer()
    await writer.append(0, [result(0)])
    await topic.seal()
    await writer.append(1, [result(1)])
    await writer.append(0, [result(0)])
    assert topic.found() == []
    topic.without(topic.records[-2].place)
    assert [code for code, _ in topic.found()] == ["entries_missing"]


async def test_the_commands_on_a_broker(broker: Path) -> None:
    running = kafka.status(broker).broker
    assert running is not None
    name = f"trail-{uuid4().hex[:8]}"
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=name, partitions=PARTITIONS)
    audit = Topics.of(name).audit
    await apply_topics(
        KafkaConfig.of(settings), [spec for spec in specs(settings, load_mapping()) if spec.name == audit], execute=True
    )
    environment = {
        "OWDD_KAFKA_BOOTSTRAP": running.bootstrap,
        "OWDD_APP_ID": name,
        "OWDD_PARTITIONS": str(PARTITIONS),
    }

    async def owdd(*arguments: str) -> tuple[int, Any]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["trail", *arguments, "--json"], env=environment)
        assert done.stdout, done.output
        return done.exit_code, orjson.loads(done.stdout)

    async with BatchProducer(settings) as producer:
        log = AuditLog.of(settings, producer)
        for at, by in enumerate(("ann", "kim", "ann")):
            await log.write(WritesControlled(at, by, "pause", everything=False), b"writes")
        assert await owdd("verify") == (0, {"entries": 3, "writers": 1, "problems": []})
        code, shown = await owdd("show", "--by", "ann", "--limit", "1")
        assert (code, [(entry["what"], entry["number"]) for entry in shown]) == (0, [("controlled", 3)])

        assert (await owdd("checkpoint"))[0] == 2
        trail = await read_trail(settings)
        newest = max(record.offset for record in trail.records)
        begins = {record.partition: newest for record in trail.records}
        await Checkpoints(settings, producer, "kim").seal(trail, dict(trail.begins) | begins, 9)
        assert await owdd("verify") == (0, {"entries": 2, "writers": 2, "problems": []}), "two went, the checkpoint came"

        await producer.send_one(audit, 0, b"writes", write_audit(WritesControlled(9, "eve", "resume", everything=True)))
        code, report = await owdd("verify")
        assert (code, [problem["code"] for problem in report["problems"]]) == (2, ["no_link"])
        assert (await owdd("checkpoint", "--execute"))[0] == 6
        code, report = await owdd("checkpoint", "--execute", "--accept-problems", "--operator", "kim")
        assert (code, report["executed"]) == (0, True)
