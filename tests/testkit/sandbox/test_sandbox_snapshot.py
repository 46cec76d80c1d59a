"""What is kept over a restart: the whole account, work that is not done yet, and what is used of the budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from testkit.sandbox import SandboxConfig, create_app
from testkit.sandbox.calls import HIGH
from testkit.sandbox.codec import dumps
from testkit.sandbox.config import Clock
from testkit.sandbox.snapshot import STATE_FILE
from tests.testkit.sandbox.calls import INSIGHT_IMPORT, add, order, orders, read, report, row, start_import, turn
from tests.testkit.sandbox.conftest import CREDENTIALS


@asynccontextmanager
async def running(directory: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """One run of the sandbox on a state directory."""
    box = create_app(SandboxConfig(*CREDENTIALS, programs={5: "Active"}), clock=clock, state_dir=directory)
    async with box.router.lifespan_context(box):
        transport = httpx.ASGITransport(box)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", auth=CREDENTIALS) as client:
            yield client


async def test_imports_in_flight_are_finished_by_the_next_run(
    tmp_path: Path, clock: Clock, advance: Callable[[timedelta], None]
) -> None:
    async with running(tmp_path, clock) as api:
        await add(api, "bob")
        wanted = await start_import(api, row())
        records = (await api.put(INSIGHT_IMPORT, json=orders(order(name="bob")))).json()["importId"]
        await turn(api, next_import=["import_stuck"])
        stuck = await start_import(api, row("late"))
    advance(timedelta(seconds=1))
    async with running(tmp_path, clock) as api:
        assert (await report(api, wanted))["summary"]["newContacts"] == 1
        assert (await report(api, records, INSIGHT_IMPORT))["summary"]["totalImported"] == 1
        assert (await report(api, stuck))["status"] == "NotFinished"
        assert (await api.post("/_sandbox/jobs/release")).json() == {"released": 1}
        assert (await report(api, stuck))["status"] == "Finished"
    async with running(tmp_path, clock) as api:
        assert (await report(api, wanted))["created"][0]["identifiers"] == {"email": "ann@example.com"}


async def test_everything_else_is_there_again(tmp_path: Path, clock: Clock) -> None:
    feeds = ("state", "records", "events", "programs", "jobs", "limits")
    schema = "/insightData/v3/collections/Orders/schema"
    async with running(tmp_path, clock) as api:
        (ann,) = await add(api, "ann")
        await api.post("/v2/address-books", json={"name": "Recent buyers"})
        await api.post("/v2/address-books/1/contacts", json={"email": "ann@example.com"})
        await api.post("/insightData/v3/collections/Orders?collectionScope=contact&collectionType=orders")
        await api.put("/insightData/v3/contacts/email/ann%40example.com/Orders/SO1", json={"lines": [{"price": 1.5}]})
        identity = {"identifier": "email", "value": "ann@example.com"}
        await api.post("/events/v3/import", json=[{"contactIdentity": identity, "type": "Refund"}])
        for _ in range(20):
            await api.post("/v2/programs/enrolments", json={"programId": 5, "contacts": [ann]})
        await api.post("/v2/contacts/unsubscribe", json={"email": "ann@example.com"})
        await api.post("/_sandbox/limits", json={HIGH: 50})
        await read(api)
        before = [(await api.get(f"/_sandbox/{feed}")).json() for feed in feeds]
        removed = (await api.get("/v2/contacts/unsubscribed-since/2025-01-01")).json()
        fixed = (await api.get(schema)).json()
    async with running(tmp_path, clock) as api:
        await api.post("/_sandbox/limits", json={HIGH: 50})
        assert [(await api.get(f"/_sandbox/{feed}")).json() for feed in feeds] == before
        assert (await api.get("/v2/contacts/unsubscribed-since/2025-01-01")).json() == removed
        assert (await api.get(schema)).json() == fixed
        refused = await api.post("/v2/programs/enrolments", json={"programId": 5, "contacts": [ann]})
        assert refused.json()["message"].endswith("ERROR_ENROLMENT_ALLOWANCE_EXCEEDED")


async def test_the_state_of_an_older_sandbox_is_read(tmp_path: Path, clock: Clock) -> None:
    contact = {
        "id": 100_001,
        "identifiers": {"email": "ann@example.com"},
        "created": "2025-01-01T00:00:00.000Z",
        "updated": "2025-01-01T00:00:00.000Z",
        "preferences": [],
        "email_status": "subscribed",
    }
    old = {"nextId": 100_002, "dataFields": [], "contacts": [contact]}
    (tmp_path / STATE_FILE).write_bytes(dumps(old))
    async with running(tmp_path, clock) as api:
        assert (await read(api)).json()["contactId"] == 100_001
        assert (await api.get("/v2/address-books")).json() == []
