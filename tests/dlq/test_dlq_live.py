"""The command on a real broker with ingest behind it: what is retried is read again, and says so if it fails again."""

from pathlib import Path

import orjson

from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.changes import ChangeKind
from streams.messages.topics import Topics
from streams.operations.dlq_entry import Position
from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import stack
from tests.dlq.commands import account, happen, listed, owdd
from tests.wire import unpack

SECRET = "ann@example.com"
TABLE = "customer_detail"


async def changes(running: LocalStack, name: str) -> list[tuple[ChangeKind, str]]:
    """What ingest told the buyers."""
    topic, partitions = Topics.of(name).buyers, range(running.settings.partitions)
    found = [record.value async for record in read_topic(KafkaConfig.of(running.settings), topic, partitions)]
    return [(change.kind, change.key) for value in found for change in unpack(value)]


async def test_a_letter_is_listed_shown_and_tried_again(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "dlq-again", partitions=1) as running:
        await running.start_worker(Role.INGEST)
        _, key, good = account(7)
        broken = good.replace(b'"cd_account_customer":false', b'"cd_account_customer":"' + SECRET.encode() + b'"')
        await happen(running, "dlq-again", (TABLE, key, broken))
        (entry,) = await listed(running, 1)
        assert (entry["code"], entry["stage"], entry["attempts"]) == ("bad_flag", "ingest", 1)

        shown = await owdd(running, "dlq", "show", entry["place"])
        assert (shown.exit_code, SECRET in shown.output) == (0, False)
        assert SECRET in (await owdd(running, "dlq", "show", entry["place"], "--show-personal-data")).output

        dry = await owdd(running, "dlq", "retry", "--code", "bad_flag", "--json")
        assert dry.exit_code == 2
        assert orjson.loads(dry.stdout) == {
            "action": "retry",
            "executed": False,
            "selected": 1,
            "done": 0,
            "codes": {"bad_flag": 1},
        }

        done = await owdd(running, "dlq", "retry", "--code", "bad_flag", "--execute", "--operator", "ops")
        assert (done.exit_code, "retry: 1 of 1." in done.output) == (0, True)
        entries = await listed(running, 2, "--all")
        assert [found["outcome"] for found in entries] == ["retry", None]
        assert entries[1]["attempts"] == 2
        assert entries[1]["origin"] == entries[0]["origin"] == "dlq-again.Orderwise.dbo.customer_detail/0@0"
        assert [found["place"] for found in await listed(running, 1, "--key", "7")] == [entries[1]["place"]]


async def test_a_record_that_can_be_read_now_is_processed_like_any_other(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "mended", partitions=1) as running:
        # Two versions of mapping.yaml stand for the release that could not read the record, and the repaired one.
        mapping = (tmp_path / "mapping.yaml").read_text("utf-8")
        (tmp_path / "mapping.yaml").write_text(mapping.replace("cd_ow_account", "cd_account_code"), "utf-8")
        await running.start_worker(Role.INGEST, name="ingest")
        await happen(running, "mended", account(7))
        (entry,) = await listed(running, 1)
        assert entry["code"] == "column_missing"
        (tmp_path / "mapping.yaml").write_text(mapping, "utf-8")
        # No row was stored as the first one says.
        assert (await owdd(running, "state", "accept", "--execute", "--operator", "kim")).exit_code == 0
        (accepted,) = orjson.loads((await owdd(running, "trail", "show", "--what", "maintained", "--json")).stdout)
        assert (accepted["by"], accepted["entry"]) == ("kim", {"action": "accept mapping"})
        await running.kill("ingest")
        assert (await owdd(running, "dlq", "retry", "--execute")).exit_code == 0
        while not (published := await changes(running, "mended")):
            await running.ready(running.workers["ingest"])
        assert published == [(ChangeKind.CUSTOMER, "c7")]
        assert await listed(running, 0) == []


async def test_a_place_that_holds_nothing_is_said_so(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "nothing", partitions=1) as running:
        result = await owdd(running, "dlq", "show", str(Position("delivery", 0, 5)))
        assert (result.exit_code, "there is no entry at delivery/0@5" in result.output) == (1, True)
