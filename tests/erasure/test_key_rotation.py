"""Another erasure key, with workers that run: nobody who was erased comes back, and what was written before is found."""

from pathlib import Path

import orjson

from streams.cli.exit_codes import ExitCode
from streams.domain.digester import Digester
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import stack
from tests.dlq.commands import account, event, happen, listed, owdd
from tests.erasure.test_erase_live import ANN, BOB, contacts, person
from tests.patience import PATIENCE

EVE, MAL = "eve@example.com", "mal@example.com"
NEW = {"OWDD_ERASURE_KEY": "new", "OWDD_FORMER_ERASURE_KEYS": "old"}


async def erase(running: LocalStack, email: str, file: Path) -> None:
    done = await owdd(running, "erase", "--email", email, "--execute", "--wait", "--receipt", str(file), "--operator", "dpo")
    assert done.exit_code == 0, done.output


async def digests(running: LocalStack) -> set[bytes]:
    """The erasures that compaction would leave."""
    found: dict[bytes, bytes] = {}
    settings = running.settings
    topic = Topics.of(settings.app_id).erasures
    async for record in read_topic(KafkaConfig.of(settings), topic, range(settings.partitions)):
        found[record.key] = record.value
    return {digest for digest, value in found.items() if value is not None}


async def test_erased_people_stay_erased_under_another_key(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "rotation", partitions=2, OWDD_ERASURE_KEY="old") as running:
        worker = await running.start_worker(*Role, name="w")
        damaged = event("customer_contact", {"cc_id": 9}, {"cc_customer_id": "?", "cc_email": MAL}, 1)
        await happen(running, "rotation", account(2), person(1, ANN), person(2, BOB), person(3, EVE), damaged)
        await running.settled()
        await erase(running, ANN, tmp_path / "ann.json")
        assert await digests(running) == {Digester(b"old")(ANN)}

        running.reconfigure(NEW)
        worker.process.terminate()
        worker.process.wait(PATIENCE)
        await running.start_worker(*Role, name="w")
        # Not re-keyed yet: the former digest is recognised.
        await happen(running, "rotation", person(1, ANN, 2))
        await erase(running, EVE, tmp_path / "eve.json")
        await running.settled()
        assert contacts(running) == {BOB}

        shown = await owdd(running, "keys", "rotate", "--json")
        assert [row["erasures"] for row in orjson.loads(shown.stdout)] == [1, 1]
        assert (shown.exit_code, await digests(running)) == (2, {Digester(b"old")(ANN), Digester(b"old", b"new")(EVE)})
        done = await owdd(running, "keys", "rotate", "--execute", "--operator", "dpo", "--json")
        assert [row["erasures"] for row in orjson.loads(done.stdout)] == [0, 2]
        assert (done.exit_code, await digests(running)) == (0, {Digester(b"old", b"new")(email) for email in (ANN, EVE)})

        await happen(running, "rotation", person(1, ANN, 3), person(3, EVE, 3), person(4, ANN, 3))
        await running.settled()
        assert contacts(running) == {BOB}
        # Who has only the topic's records, as a worker without state has after compaction, recognises her too.
        (worker,) = running.workers.values()
        worker.process.terminate()
        worker.process.wait(PATIENCE)
        del running.workers["w"]
        await running.start_worker(*Role, name="another")
        await happen(running, "rotation", person(5, ANN, 4))
        await running.settled()
        assert contacts(running) == {BOB}

        assert "requested before by dpo" in (await owdd(running, "erase", "--email", ANN)).output
        (entry,) = await listed(running, 1, "--key", MAL)
        assert entry["stage"] == "ingest"
        trail = await owdd(running, "trail", "verify", "--json")
        assert trail.exit_code == 0, trail.output
        assert [
            row["what"] for row in orjson.loads((await owdd(running, "trail", "show", "--what", "rekeyed", "--json")).stdout)
        ] == ["rekeyed"]

        running.reconfigure({"OWDD_ERASURE_KEY": "new", "OWDD_FORMER_ERASURE_KEYS": ""})
        refused = await owdd(running, "keys", "status")
        assert (refused.exit_code, "OWDD_FORMER_ERASURE_KEYS" in refused.output) == (ExitCode.INVALID, True)
