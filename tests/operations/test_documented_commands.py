"""Every command that the pages for operators name runs as it stands there, on a real broker, Kafka Connect, Debezium and sandbox."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from streams.cli import app
from streams.mapping import DEFAULT, load_mapping
from streams.worker import Role
from testkit.demo.capture import CaptureStack
from testkit.simulate import Simulation, SimulationConfig
from testkit.simulate.sql_runner import SqlRunner
from tests.convergence.convergence_harness import QUICK
from tests.dlq.commands import event, happen, listed, owdd, start
from tests.operations.documented import ROOT, documented
from tests.operations.documented_steps import BEFORE, ELSEWHERE, REPLAYING, RUNNING, STOPPED, Step
from tests.patience import PATIENCE

PHASES = (BEFORE, RUNNING, REPLAYING, STOPPED)
RUN = {step.command for phase in PHASES for step in phase}
UNREADABLE = {"oh_order_number": "SO-0", "oh_datetime": "yesterday", "oh_cd_id": 1, "oh_sot_id": 1, "oh_os_id": 1}


def test_every_command_is_run_or_has_a_reason() -> None:
    assert RUN | set(ELSEWHERE) == set(documented())
    assert not RUN & set(ELSEWHERE)


@pytest.mark.parametrize("command", sorted(command for command in documented() if command.startswith("owdd ")))
def test_a_command_has_the_options_that_a_page_gives_it(command: str) -> None:
    # Asked for help, a command still refuses options that it does not have.
    done = CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"])
    assert done.exit_code == 0, (documented()[command], done.output)


def test_a_target_of_make_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {command.split()[1] for command in documented() if command.startswith("make ")} <= targets


@dataclass
class Session:
    """A command line beside a stack; ``values`` stand for the pages' placeholders."""

    stack: CaptureStack
    values: dict[str, str]

    async def run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            values = {**self.values, **step.given}
            words = [word for part in shlex.split(step.command)[1:] for word in _filled(part, values)]
            result = await owdd(self.stack, *words)
            assert result.exit_code in step.codes, (step.command, result.exit_code, result.output)
            assert values.get(step.prints, step.prints) in result.output, (step.command, result.output)

    async def replaying(self) -> None:
        """Replay all order headers, one a second, and wait until the replay can be seen."""
        replay = await start(self.stack, *["replay", "records", "--table", "order_header", "--rate", "1", "--execute"])
        async with asyncio.timeout(PATIENCE):
            while not (runs := await self._runs("running")):
                assert replay.returncode is None
        self.values |= {"ID": runs[0], "3f9c21aa": runs[0]}

    async def _runs(self, state: str) -> list[str]:
        found = orjson.loads((await owdd(self.stack, "replay", "status", "--json")).stdout)
        return [run["id"] for run in found if run["state"] == state]


def _filled(part: str, values: dict[str, str]) -> list[str]:
    return values[part].split() if part in values else [part]


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[tuple[CaptureStack, list[str]]]:
    """A stack whose database has a small shop, and the addresses of its persons."""
    data = yaml.safe_load(DEFAULT.read_text("utf-8"))
    data["house_accounts"] = [1]
    file = directory / "mapping.yaml"
    file.write_text(yaml.safe_dump(data), "utf-8")
    variables = {
        "OWDD_PARTITIONS": "1",
        "OWDD_HASH_KEY": "a-key-of-this-test",
        "OWDD_STATE_TOKEN": "a-token-of-32-characters-or-more",
        "OWDD_DATA_DIR": str(directory / "stack" / "state" / "worker"),
    }
    async with CaptureStack(directory / "stack", file, QUICK | variables) as stack:
        assert stack.database is not None
        simulation = Simulation(SimulationConfig(mapping=load_mapping(file), customers=20, orders=60, live=0, seed=3))
        await asyncio.to_thread(SqlRunner(simulation, stack.database_url, stack.database.password).opening)
        persons = simulation.truth().tables["customer_contact"].values()
        yield stack, [str(person["cc_email"]) for person in persons if "@" in str(person["cc_email"])]


async def test_all_of_them_run_in_a_site_s_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with site(tmp_path) as (stack, addresses):
        ann, another = addresses[:2]
        (tmp_path / "addresses").write_text(another)
        values = {"EMAIL": ann, "ann@example.com": ann, "KEY": ann, "4711": "1", "CODE": "bad_time", "TIME": "2100-01-01"}
        values |= {"TABLE": "order_header", "TABLE…": "order_header order_status"}
        values |= {"-": "addresses", "FILE": "addresses", "/backups/2026-11-30": "backup"}
        session = Session(stack, values)
        await session.run(BEFORE)
        worker = await stack.start_worker(*Role, name="worker")
        stack.reconfigure({"OWDD_WORKERS": worker.url.removeprefix("http://")})
        await happen(stack, load_mapping(stack.mapping).source.topic_prefix, event("order_header", {"oh_id": 0}, UNREADABLE, 1))
        await stack.settled()
        session.values["PLACE"] = (await listed(stack, 1))[0]["place"]
        await session.run(RUNNING)
        await session.replaying()
        await session.run(REPLAYING)
        worker.process.terminate()
        assert await asyncio.to_thread(worker.process.wait, PATIENCE) == 0
        await session.run(STOPPED)
