"""The whole way on a real broker: erased by command or by the ERP, a person is gone and does not come back."""

import stat
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from streams.capture import rows
from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import stack
from tests.dlq.commands import Event, account, event, happen, owdd
from tests.wire import unpack

ANN, BOB = "ann@example.com", "bob@example.com"


def person(number: int, email: str, lsn: int = 1, *, asks: bool = False) -> Event:
    names = {"cc_first_name": f"First{number}", "cc_last_name": None, "cc_name": None}
    row = {"cc_customer_id": 2, "cc_email": email, "cc_gdpr_erased": asks, **names}
    return event("customer_contact", {"cc_id": number}, row, lsn)


def contacts(running: LocalStack) -> set[str]:
    """Everybody whom Dotdigital has outside its bin."""
    state = httpx.get(f"{running.settings.dotdigital_url}/_sandbox/state").json()
    return {contact["email"] for contact in state["contacts"] if not contact["binned"]}


async def held(running: LocalStack, topic: str) -> list[bytes]:
    """The latest value of every key, as compaction would leave it; values without key as they are."""
    latest: dict[Any, bytes] = {}
    settings = running.settings
    async for record in read_topic(KafkaConfig.of(settings), topic, range(settings.partitions)):
        latest[record.key or (record.partition, record.offset)] = (record.key or b"") + b"\0" + (record.value or b"")
        if record.value is None:
            del latest[record.key]
    return list(latest.values())


async def test_an_erased_person_is_gone_from_everything_and_does_not_come_back(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "erase", partitions=2) as running:
        await running.start_worker(*Role)
        await happen(running, "erase", account(2), person(1, ANN), person(2, BOB))
        await running.settled()
        assert contacts(running) == {ANN, BOB}

        export = await exported(running, tmp_path / "ann.json")
        assert BOB not in str(export)
        assert export["orderwise"].keys() == {"erase.Orderwise.dbo.customer_contact"}
        assert export["state"].keys() == {"contacts", "outbox"}
        assert export["topics"].keys() >= {str(Topics.of("erase").contacts), Topics.of("erase").deliveries}
        assert [entry["what"] for entry in export["audit"]] == ["exported"]

        shown = await owdd(running, "erase", "--email", f" {ANN.upper()}")
        assert shown.exit_code == ExitCode.CHANGES
        assert "1 buyers have the address; not requested before" in shown.output

        refused = await owdd(running, "erase", "--email", ANN, "--execute", OWDD_ERASURE_KEY="another")
        assert refused.exit_code == ExitCode.INVALID
        assert "OWDD_ERASURE_KEY" in refused.output
        assert await held(running, Topics.of("erase").erasures) == []

        file = tmp_path / "receipt.json"
        done = await owdd(running, "erase", "--email", ANN, "--execute", "--wait", "--receipt", str(file), "--operator", "dpo")
        assert done.exit_code == 0, done.output
        (receipt,) = orjson.loads(file.read_bytes())
        assert receipt["requested_by"] == "dpo"
        assert receipt["finished_at"] is not None
        assert {stage: part["partitions"] for stage, part in receipt["stages"].items()} == {
            "contacts": 1,
            "orders": 2,
            "buyers": 2,
            "dotdigital": 1,
        }
        assert "ann" not in file.read_text() + shown.output.lower() + done.output.lower()

        await running.settled()
        assert contacts(running) == {BOB}
        changelogs = tables(running.settings)
        for table in ("orders", "buyers", "contacts"):
            assert not [value for value in await held(running, changelogs[table]) if ANN.encode() in value], table

        again = await owdd(running, "erase", "--email", ANN, "--execute", "--wait", "--receipt", str(file), "--operator", "dpo")
        assert again.exit_code == 0, again.output
        assert "0 buyers have the address; requested before by dpo" in (await owdd(running, "erase", "--email", ANN)).output

        await happen(running, "erase", person(1, f"{ANN}; {BOB}", 2), person(3, ANN, 2))
        await running.settled()
        published = [change.row for value in await held(running, Topics.of("erase").buyers) for change in unpack(value[1:])]
        assert [row.emails for row in published if isinstance(row, rows.Contact) and row.first_name != "First2"] == [
            (ANN,),
            (BOB,),
            (),
        ]
        assert contacts(running) == {BOB}

        export = await exported(running, tmp_path / "after.json")
        assert {entry["what"] for entry in export["audit"]} == {"exported", "requested", "erased"}
        assert Topics.of("erase").erasures in export["topics"]
        assert export["state"] == {}


async def exported(running: LocalStack, file: Path) -> dict[str, Any]:
    """The export of ANN."""
    done = await owdd(running, "person", "export", ANN, "--file", str(file), "--operator", "dpo")
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = await owdd(running, "person", "export", ANN, "--file", str(file))
    assert (again.exit_code, ANN in again.output) == (ExitCode.INVALID, False)
    found: dict[str, Any] = orjson.loads(file.read_bytes())
    return found


async def test_the_erps_flag_erases_too(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "flag", erasure=True, partitions=2) as running:
        await running.start_worker(*Role)
        await happen(running, "flag", account(2), person(1, ANN), person(2, BOB))
        await running.settled()
        await happen(running, "flag", person(1, ANN, 2, asks=True))
        await running.settled()
        assert contacts(running) == {BOB}
        assert len(await held(running, Topics.of("flag").erasures)) == 1


async def test_nobody_answers_while_no_worker_runs(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "nobody", partitions=1) as running:
        file = tmp_path / "receipt.json"
        options = ["--execute", "--wait", "--timeout", "1", "--receipt", str(file)]
        done = await owdd(running, "erase", "--email", ANN, *options)
        assert done.exit_code == ExitCode.UNFINISHED
        (receipt,) = orjson.loads(file.read_bytes())
        assert receipt["finished_at"] is None


@pytest.mark.parametrize(
    "given", [[], ["--email", "nobody"], ["--email", f"{ANN} {BOB}"], ["--email", ANN, "--email-file", "x"]]
)
def test_who_is_meant_must_be_said(given: list[str]) -> None:
    result = CliRunner().invoke(app, ["erase", *given, "--execute"])
    assert result.exit_code == 1
    assert "ann" not in result.output
