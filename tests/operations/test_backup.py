"""Backups: everything is lost, the backup comes back, and Dotdigital gets no call twice."""

import stat
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from aiokafka import TopicPartition
from msgspec.structs import replace

from streams.cli.exit_codes import ExitCode
from streams.core.acknowledged import Acknowledged, join
from streams.core.bookmark import Bookmark
from streams.core.clock import SystemClock
from streams.kafka import client
from streams.kafka.continuity import LostAcknowledgedError, group_offsets
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured, ingest_group
from streams.mapping import load_mapping
from streams.messages.generation_log import known_generations
from streams.messages.generations import Generation, generation_key, write_generations
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.backup import restore_backup, restore_order, write_backup
from streams.operations.backup_files import (
    FORMAT,
    BackupRecord,
    BackupTopic,
    Manifest,
    new_record_file,
    problems,
    read_manifest,
    read_records,
    sha256_of,
    write_manifest,
)
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.local_services import kafka
from tests.convergence.convergence_harness import simulate, stack, verdict
from tests.dlq.commands import event, happen, owdd
from tests.patience import PATIENCE

WRITES = ("create", "patch", "change", "delete", "import-", "put", "unsubscribe", "suppress", "enrol", "leave")


async def copy_captured(source: Settings, target: Settings, mapping: Path) -> None:
    """What a new snapshot of the same database brings, into the broker of ``target``."""
    async with BatchProducer(target) as producer:
        for topic in captured(load_mapping(mapping)):
            async for record in read_topic(KafkaConfig.of(source), topic, range(source.partitions)):
                await producer.send_one(topic, record.partition, record.key, record.value)


# While the captured rows are read again, contacts have less than all of their orders: nothing is sent before that is over.
_PATIENT = {f"OWDD_{lane}_QUIET": "20" for lane in ("URGENT", "LIVE", "BULK")} | {
    f"OWDD_{lane}_LONGEST": "120" for lane in ("URGENT", "LIVE", "BULK")
}


async def written_calls(running: LocalStack) -> float:
    """Calls of the present workers that change something in Dotdigital."""
    samples = await running.scrape()
    return sum(
        value
        for (name, labels), value in samples.items()
        if name == "owdd_dotdigital_call_seconds_count" and dict(labels)["operation"].startswith(WRITES)
    )


async def test_a_backup_brings_back_a_lost_broker_and_no_call_is_made_twice(tmp_path: Path, broker: Path) -> None:
    saved = tmp_path / "saved"
    async with stack(tmp_path, broker, "backup", partitions=2) as running:
        worker = await running.start_worker(*Role, name="before")
        damaged = event("customer_contact", {"cc_id": 9}, {"cc_customer_id": "?", "cc_email": "mal@example.com"}, 1)
        await happen(running, "backup", damaged)
        await simulate(running, customers=40, orders=120, seed=7)
        await running.settled()
        assert verdict(running)[0] == []
        assert await written_calls(running) > 0
        drop = await owdd(running, "dlq", "drop", "--all", "--execute", "--operator", "kim")
        assert drop.exit_code == 0, drop.output

        async with BatchProducer(running.settings) as producer:
            record = write_generations(Generation(number=1, by="kim", began=1, ends={}, dropped=True))
            await producer.send_one(Topics.of(running.settings.app_id).generations, 0, generation_key(1), record)
        refused = await owdd(running, "backup", "write", str(saved), OWDD_ERASURE_KEY="another")
        assert (refused.exit_code, saved.exists()) == (ExitCode.INVALID, False)
        written = await owdd(running, "backup", "write", str(saved), "--json")
        assert written.exit_code == 0, written.output
        assert stat.S_IMODE(saved.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in saved.iterdir()} == {0o600}
        assert (await owdd(running, "backup", "verify", str(saved))).exit_code == 0
        refused = await owdd(running, "backup", "restore", str(saved), "--execute")
        assert (refused.exit_code, "workers are running" in refused.output) == (ExitCode.REFUSED, True)

        worker.process.kill()
        worker.process.wait(PATIENCE)
        del running.workers["before"]
        before, mapping = running.settings, load_mapping(running.mapping)
        async with kafka.embedded_broker(tmp_path / "new-broker", short_lived=True) as new:
            running.reconfigure(new.environment | _PATIENT)
            await apply_topics(KafkaConfig.of(running.settings), list(specs(running.settings, mapping)), execute=True)
            planned = await owdd(running, "backup", "restore", str(saved))
            assert planned.exit_code == ExitCode.CHANGES
            restored = await owdd(running, "backup", "restore", str(saved), "--execute")
            assert restored.exit_code == 0, restored.output
            again = await owdd(running, "backup", "restore", str(saved), "--execute")
            assert (again.exit_code, "topics are not empty" in again.output) == (ExitCode.REFUSED, True)

            assert (await owdd(running, "trail", "verify")).exit_code == 0
            assert orjson.loads((await owdd(running, "dlq", "list", "--json")).stdout) == []
            assert (await known_generations(running.settings)).generations.keys() == {1}
            await copy_captured(before, running.settings, running.mapping)
            await running.start_worker(*Role, name="after")
            await running.settled()
            assert verdict(running)[0] == []
            assert await written_calls(running) == 0
            topic = Topics.of(running.settings.app_id).setup
            assert [record.key async for record in read_topic(KafkaConfig.of(running.settings), topic, [0])]
            running.workers["after"].process.kill()
            running.workers["after"].process.wait(PATIENCE)


async def test_groups_go_on_that_had_written_into_topics_which_were_deleted(tmp_path: Path, broker: Path) -> None:
    """A restore on the same broker: the topics between the stages and the groups are as they were."""
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=f"restored{uuid4().hex[:8]}", partitions=1)
    config, topics, group = KafkaConfig.of(settings), Topics.of(settings.app_id), ingest_group(settings)
    await apply_topics(config, list(specs(settings, load_mapping())), execute=True)
    manifest = await write_backup(settings, tmp_path / "saved", SystemClock(), lambda _: None)
    written = Acknowledged()
    written.note((topics.deliveries, 0), Bookmark(7, 1_700_000_000_000, 1))
    place = TopicPartition(topics.retries, 0)
    async with client.consumer(config, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([place])
        await consumer.commit({place: (0, join(None, written))})
    with pytest.raises(LostAcknowledgedError):
        await group_offsets(config, group, [place], topics.noted)

    await restore_backup(settings, tmp_path / "saved", manifest, lambda _: None)
    assert (await group_offsets(config, group, [place], topics.noted))[place].written == {}


def test_an_interrupted_restore_leaves_rows_without_a_set_up() -> None:
    assert restore_order(["erasures", "setup", "outbox", "audit"]) == ["outbox", "erasures", "audit", "setup"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small backup."""
    with new_record_file(tmp_path, "audit") as file:
        for offset in range(3):
            file.append(BackupRecord(0, offset, b"k", None, [("chain", b"x")]))
    topics = {"audit": BackupTopic(3, sha256_of(tmp_path, "audit"), {0: 0})}
    facts = {"at": 0, "release": "1", "app_id": "a", "app_version": 1, "partitions": 1, "formats": {}, "key_id": ""}
    write_manifest(tmp_path, Manifest(format=FORMAT, topics=topics, **facts))  # type: ignore[arg-type]
    return tmp_path


def test_a_whole_backup_is_read_as_it_was_written(saved: Path) -> None:
    assert problems(saved, read_manifest(saved)) == {}
    assert [record.offset for record in read_records(saved, "audit")] == [0, 1, 2]


def test_damage_is_found(saved: Path) -> None:
    manifest, file = read_manifest(saved), saved / "audit.records.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    assert problems(saved, manifest) == {"audit": "altered"}
    shorter = {"audit": BackupTopic(3, sha256_of(saved, "audit"), {0: 0})}
    assert problems(saved, replace(manifest, topics=shorter)) == {"audit": "unreadable"}
    file.unlink()
    assert problems(saved, manifest) == {"audit": "missing"}
