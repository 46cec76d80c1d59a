"""``owdd replay`` on a real broker with ingest behind it: shown, done, paused, resumed, cancelled, and written down."""

import asyncio
from pathlib import Path
from typing import Any

import orjson

from streams.cli.exit_codes import ExitCode
from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import stack
from tests.dlq.commands import account, happen, owdd, start

ACCOUNTS = 40
TOPIC = "records.Orderwise.dbo.customer_detail"


async def replay(running: LocalStack, *arguments: str) -> tuple[int, Any]:
    result = await owdd(running, "replay", *arguments, "--json")
    return result.exit_code, orjson.loads(result.stdout)


async def state_of(running: LocalStack, state: str) -> dict[str, Any]:
    """The newest replay, once it is in that state and has sent something."""
    async with asyncio.timeout(120):
        while True:
            _, found = await replay(running, "status")
            if found and found[-1]["state"] == state and found[-1]["sent"]:
                newest: dict[str, Any] = found[-1]
                return newest


async def test_a_replay_from_the_first_look_to_its_end(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "records", partitions=1) as running:
        await running.start_worker(Role.INGEST)
        await happen(running, "records", *(account(number) for number in range(ACCOUNTS)), account(7, 2))

        code, shown = await replay(running, "records", "--customer", "7", "--show", "1")
        assert (code, shown["rows"], sum(shown["records"].values())) == (ExitCode.CHANGES, 1, 2)
        assert "cd_id" not in shown["first"][0]["row"]
        _, shown = await replay(running, "records", "--key", "7", "--show-personal-data")
        assert [item["row"] for item in shown["first"]] == ['{"cd_id":7}'] * 2
        assert (await replay(running, "status"))[1] == []
        for verb in ("status", "pause", "resume", "cancel"):
            assert "there is no replay 3f9c21aa" in (await replay(running, verb, "3f9c21aa"))[1]["message"], verb

        code, done = await replay(running, "records", "--customer", "7", "--execute", "--operator", "kim")
        assert (code, done["state"], done["sent"]) == (0, "done", 1)
        assert (await running.scrape())["owdd_records_total", (("kind", "replayed"), ("topic", TOPIC))] == 1

        slow = await start(running, "replay", "records", "--all", "--rate", "1", "--execute", "--operator", "kim")
        try:
            run = (await state_of(running, "running"))["id"]
            assert (await replay(running, "resume", run))[1]["exit"] == "REFUSED"
            code, paused = await replay(running, "pause", run)
            assert (code, paused["state"]) == (0, "paused")
            assert await slow.wait() == ExitCode.UNFINISHED
        finally:
            if slow.returncode is None:
                slow.kill()

        assert [one["state"] for one in (await replay(running, "status", run))[1]] == ["paused"]
        code, done = await replay(running, "resume", run, "--rate", "1000", "--operator", "ann")
        assert (code, done["state"], done["sent"]) == (0, "done", ACCOUNTS)
        assert (await replay(running, "cancel", run))[0] == ExitCode.REFUSED

        trail = orjson.loads((await owdd(running, "trail", "show", "--what", "replayed", "--json")).stdout)
        assert [(entry["by"], entry["entry"]["action"]) for entry in trail] == [
            ("kim", "start"),
            ("kim", "done"),
            ("kim", "start"),
            (trail[3]["by"], "pause"),
            ("ann", "resume"),
            ("kim", "done"),
        ]
        assert (await owdd(running, "trail", "verify")).exit_code == 0
