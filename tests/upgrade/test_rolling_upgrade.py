"""Two workers of each role, of the last release, are replaced one after the other while a shop trades.

``release-<version>.tar.xz`` is the release's ``streams`` as ``git archive`` gives it; clones may come without tags.
"""

import asyncio
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx

from streams.mapping import DEFAULT
from streams.worker import Role
from testkit.demo.stack import LocalStack, WorkerProcess
from testkit.soak.site import Site, open_site
from tests.convergence.convergence_harness import lasting, verdict
from tests.dlq.commands import listed
from tests.patience import PATIENCE
from tests.upgrade.release import HERE

(RELEASED,) = HERE.glob("release-*.tar.xz")
_RECORDS = 20
_READ = re.compile(r"^owdd_records_total{[^}]*} (\S+)$", re.MULTILINE)


def environment(directory: Path) -> dict[str, str]:
    """Variables with which ``python -m streams`` is the release."""
    with tarfile.open(RELEASED) as released:
        released.extractall(directory, filter="data")
    # Safe: otherwise the checkout, as the current directory, would come first.
    variables = {"PYTHONPATH": str(directory), "PYTHONSAFEPATH": "1"}
    place = subprocess.run(
        [sys.executable, "-c", "import streams.worker; print(streams.worker.__file__)"],
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(place.stdout.strip()).is_relative_to(directory)
    return variables


async def test_no_contact_is_wrong_after_workers_were_replaced_one_by_one(tmp_path: Path, broker: Path) -> None:
    release = environment(tmp_path / "release")
    # A site's mapping is written for the release; nobody edits it on the way.
    site = Site("rolling", consent=True, base=tmp_path / "release" / DEFAULT.relative_to(Path.cwd()))
    async with open_site(tmp_path, broker, site) as running:
        running.by_worker = dict.fromkeys(("one", "two"), release)
        for name in running.by_worker:
            await running.start_worker(*Role, name=name, wait=False)
        for worker in list(running.workers.values()):
            await running.ready(worker)
        half_way = asyncio.Event()

        async def replace_the_first() -> None:
            for worker in running.workers.values():
                await has_read(worker)
            await replaced(running, "one")
            half_way.set()

        async with asyncio.TaskGroup() as together:
            together.create_task(running.simulate_in_two(shop(tmp_path), replace_the_first))
            await half_way.wait()
            # Changes of everyday operation come now: a worker of each version takes its share of them.
            await has_read(running.workers["one"])
            await replaced(running, "two")
        await running.settled()
        differences, *_ = verdict(running)
        assert lasting(differences) == []
        # Neither version sets aside what the other one wrote.
        assert (await listed(running, 0)) == []


def shop(directory: Path) -> list[str]:
    """A shop whose last commits are held back until the first worker is replaced."""
    size = [
        "--seed",
        "16",
        "--customers",
        "80",
        "--orders",
        "400",
        "--live",
        "400",
        "--everyday",
        "200",
        "--everyday-rate",
        "40",
    ]
    trouble = ["--duplicates", "0.05", "--replays", "1", "--consent"]
    return [*size, *trouble, "--rate", "0", "--ending", "now", "--truth", str(directory / "truth.json")]


async def replaced(running: LocalStack, name: str) -> None:
    """End a worker of the release, and start one of this version on its state."""
    process = running.workers[name].process
    process.terminate()
    assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    running.by_worker = {other: running.by_worker[other] for other in running.by_worker if other != name}
    await running.start_worker(*Role, name=name)


async def has_read(worker: WorkerProcess) -> None:
    """Wait until this worker has read some captured records."""
    async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE):
        while True:
            text = (await http.get(f"{worker.url}/metrics")).text
            if sum(float(found) for found in _READ.findall(text)) >= _RECORDS:
                return
            await asyncio.sleep(0.1)  # a worker counts, and tells nobody
