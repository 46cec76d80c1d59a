"""The account of a benchmark knows by which call a contact changed, alone or in an import, and whom a call was about."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bench.account import Account, Moment, Write
from bench.child import Child
from bench.errors import NotDrained, WrongResult
from bench.rebuild import check_only_live
from bench.workload_rows import email
from testkit.sandbox import SandboxConfig, create_app
from tests.testkit.sandbox.calls import INSIGHT_IMPORT, add, order, orders, row, start_import, turn

NAMES = ("person.1", "person.2", "person.3")


@pytest_asyncio.fixture
async def account() -> AsyncIterator[Account]:
    config = SandboxConfig("bench", "sandbox-password", import_seconds=0)
    transport = httpx.ASGITransport(create_app(config))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", auth=("bench", "sandbox-password")) as http:
        await add(http, *NAMES)
        yield Account(http)


@pytest.fixture
def worker(tmp_path: Path) -> Child:
    log = tmp_path / "dispatch.log"
    log.write_text("retrying\n")
    return Child("dispatch", [], {}, log)


async def change(account: Account) -> tuple[Moment, dict[int, str]]:
    """The first one changes alone, the second one in an import, and a record of the first one is stored both ways."""
    since, emails = await account.moment(), await account.contacts()
    one = next(number for number, address in emails.items() if address == email(1))
    assert (await account.http.patch(f"/contacts/v3/contactId/{one}", json={"dataFields": {}})).status_code == 200
    await start_import(account.http, row(NAMES[1]), row("unreadable@"))
    record = "/insightData/v3/contacts/email/person.1%40example.com/Orders/SO2"
    assert (await account.http.put(INSIGHT_IMPORT, json=orders(order("SO1", NAMES[0])))).status_code == 202
    assert (await account.http.put(record, json={"json": {"order_total": 1}})).is_success
    return since, emails


async def test_a_change_arrives_alone_or_in_an_import(account: Account, worker: Child) -> None:
    began = datetime.now(UTC).timestamp() * 1000
    since, emails = await change(account)
    arrived = await account.arrivals(emails, {email(1), email(2)}, since, worker)
    assert arrived.keys() == {email(1), email(2)}
    assert all(round(began) <= at <= datetime.now(UTC).timestamp() * 1000 for at in arrived.values())
    with pytest.raises(NotDrained, match=r"1 of 2 changes arrived:\nretrying"):
        await account.arrivals(emails, {email(1), email(3)}, since, worker, patience=0)


async def test_an_import_is_about_those_whose_rows_it_carried_out(account: Account) -> None:
    since, emails = await change(account)
    ids = {address: frozenset((number,)) for number, address in emails.items()}
    assert sorted(await account.writes(emails, since)) == [
        Write("PATCH", "/contacts/v3/{identifier}/{value}", ids[email(1)]),
        Write("PUT", "/insightData/v3/contacts/{identifier}/{value}/{collectionName}/{recordId}", ids[email(1)]),
        Write("PUT", "contactImport", ids[email(2)]),
        Write("PUT", "insightImport", ids[email(1)]),
    ]
    assert await account.writes(emails, await account.moment()) == []


async def test_what_is_not_done_is_no_proof(account: Account) -> None:
    since, emails = await account.moment(), await account.contacts()
    await turn(account.http, next_import=["import_stuck"])
    await start_import(account.http, row(NAMES[0]))
    with pytest.raises(WrongResult, match="an import of the kind contactImport is running"):
        await account.writes(emails, since)


def test_no_call_is_without_a_live_change_that_explains_it() -> None:
    emails = {1: email(1), 2: email(2), 9: email(10_000)}
    alone, together = Write("PATCH", "/contacts", frozenset((1,))), Write("PUT", "contactImport", frozenset((1, 2)))
    check_only_live([alone, alone, together], emails, 2)
    for wrong in (
        [alone] * 3,
        [Write("PUT", "contactImport", frozenset((1, 9)))],
        [Write("POST", "/catalogue", frozenset((0,)))],
    ):
        with pytest.raises(WrongResult, match="explain"):
            check_only_live(wrong, emails, 2)
