"""A comparison over a real broker: asked for by a command, worked on by a worker that is killed meanwhile."""

import asyncio
from pathlib import Path

import httpx

from streams.messages.audit import ReconcileSteered
from streams.messages.reconciliations import ReconcileRun
from streams.operations.reconcile.run_log import known_runs
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.soak.site import Site, open_site
from tests.dispatch.test_operators_live import audited, named, owdd, until, want
from tests.patience import PATIENCE

PEOPLE = [f"p{number:02}@example.com" for number in range(60)]
CHANGED, DELETED = PEOPLE[:6], PEOPLE[6:10]


async def change_in_dotdigital(running: LocalStack) -> None:
    settings = running.settings
    login = (settings.dotdigital_user, settings.dotdigital_password.get_secret_value())
    async with httpx.AsyncClient(base_url=settings.dotdigital_url, auth=login) as somebody:
        for email in CHANGED:
            changed = await somebody.patch(f"/contacts/v3/email/{email}", json={"dataFields": {"FIRSTNAME": "Eve"}})
            changed.raise_for_status()
        for email in DELETED:
            (await somebody.delete(f"/contacts/v3/email/{email}")).raise_for_status()


async def answer_after(running: LocalStack, seconds: float) -> None:
    async with httpx.AsyncClient(base_url=running.settings.dotdigital_url) as http:
        (await http.post("/_sandbox/faults", json={"latency_ms": seconds * 1000})).raise_for_status()


async def only_run(running: LocalStack) -> ReconcileRun | None:
    return next(iter((await known_runs(running.settings)).runs.values()), None)


async def test_drift_is_found_and_put_right_though_the_worker_is_killed_meanwhile(tmp_path: Path, broker: Path) -> None:
    async with open_site(tmp_path, broker, Site("reconcile", partitions=2)) as running:
        await running.start_worker(Role.DISPATCH, name="one")
        await want(running, 1, PEOPLE, b'{"FIRSTNAME":"Ann"}')
        await until(running, set(PEOPLE))
        await change_in_dotdigital(running)

        # So slow that the worker is certainly killed in the middle.
        await answer_after(running, 5)
        comparing = asyncio.create_task(owdd(running, "reconcile", "--full", "--operator", "kim"))
        async with asyncio.timeout(PATIENCE):
            while (run := await only_run(running)) is None or run.state != "running":
                await asyncio.sleep(0.1)
        await running.kill("one")
        await answer_after(running, 0)
        run = await only_run(running)
        assert run is not None and run.state == "running"
        code, found = await comparing
        assert (code, found["state"], found["scope"], found["healed"]) == (2, "done", "full", 0)
        differ = found["drift"]
        assert differ.get("fields_stale", 0) + differ.get("fields_changed", 0) == len(CHANGED)
        assert differ["contact_deleted"] == len(DELETED)
        assert sum(differ.values()) == len(CHANGED) + len(DELETED)
        assert not {example["owner"] for example in found["examples"]} & set(PEOPLE), "hashes"

        code, healed = await owdd(running, "reconcile", "--full", "--execute", "--operator", "kim")
        assert (code, healed["healed"]) == (0, len(CHANGED) + len(DELETED))
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(named, running, "Eve"):
                await asyncio.sleep(0.2)
        steered = [entry for entry in await audited(running) if isinstance(entry, ReconcileSteered)]
        assert [(entry.by, entry.action) for entry in steered if entry.run == healed["id"]] == [
            ("kim", "start"),
            ("kim", "done"),
        ]
