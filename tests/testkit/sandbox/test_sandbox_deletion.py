"""The recycle bin: in by three ways, out by a write, empty for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from testkit.sandbox import SandboxApp
from tests.testkit.sandbox.calls import add, read

DELETE = "/contacts/v3/delete"
Advance = Callable[[timedelta], None]


async def revive(api: httpx.AsyncClient, name: str = "ann") -> httpx.Response:
    body = {"identifiers": {"email": f"{name}@example.com"}}
    return await api.patch(f"/contacts/v3/email/{name}%40example.com", json=body)


async def test_many_are_deleted_in_the_background_with_a_report(api: httpx.AsyncClient, advance: Advance) -> None:
    ann, bob = await add(api, "ann", "bob")
    items = [{"email": "ann@example.com"}, {"contactId": bob}, {"email": "no@example.com"}, {"email": "x"}]
    started = await api.post(DELETE, json=items)
    assert started.status_code == 202
    job = f"{DELETE}/{started.json()['deleteId']}"
    assert (await api.get(job)).json()["status"] == "NotFinished"
    advance(timedelta(seconds=1))
    found = (await api.get(job)).json()
    assert found["status"] == "Finished"
    assert found["summary"] == {
        "requestedContacts": 4,
        "deletedContacts": 2,
        "unknownContacts": 1,
        "invalidEntries": 1,
    }
    assert found["deleted"] == items[:2]
    assert [failed["failures"][0]["failureCode"] for failed in found["failures"]] == ["contactNotFound", "invalidEmail"]
    assert (await read(api)).status_code == 404
    assert (await revive(api)).json()["contactId"] == ann


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "contacts:noContactsSpecified"),
        ([{"email": "a@b.com"}] * 5001, "contacts:noContactsSpecified"),
        ([{}], "contacts:badRequest"),
    ],
)
async def test_a_wrong_deletion_is_refused(api: httpx.AsyncClient, body: object, code: str) -> None:
    reply = await api.post(DELETE, json=body)
    assert (reply.status_code, reply.json()["errorCode"]) == (400, code)


async def test_deletions_in_flight_are_bounded(api: httpx.AsyncClient) -> None:
    for _ in range(25):
        assert (await api.post(DELETE, json=[{"email": "a@example.com"}])).status_code == 202
    refused = await api.post(DELETE, json=[{"email": "a@example.com"}])
    assert (refused.status_code, refused.json()["errorCode"]) == (429, "contacts:tooManyBulkDeleteJobs")


async def test_unknown_jobs_are_distinguished_from_wrong_ids(api: httpx.AsyncClient) -> None:
    unknown = await api.get(f"{DELETE}/d7de900d-d337-43f6-b1e1-c8ec73e1a434")
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "contacts:importNotFound")
    assert (await api.get(f"{DELETE}/123646")).json()["errorCode"] == "contacts:invalidDeleteId"


async def test_v2_reads_and_deletes_by_id_or_email(api: httpx.AsyncClient) -> None:
    (ann,) = await add(api, "ann", dataFields={"FIRSTNAME": "Ann"})
    for name in (str(ann), "ann%40example.com"):
        found = (await api.get(f"/v2/contacts/{name}")).json()
        assert (found["id"], found["dataFields"]) == (ann, [{"key": "FIRSTNAME", "value": "Ann"}])
    assert (await api.delete(f"/v2/contacts/{ann}")).status_code == 204
    gone = await api.get(f"/v2/contacts/{ann}")
    assert (gone.status_code, gone.json()["message"]) == (404, "Error: ERROR_CONTACT_NOT_FOUND")


async def test_v2_does_not_delete_the_suppressed(api: httpx.AsyncClient) -> None:
    (ann,) = await add(api, "ann", status="suppressed")
    refused = await api.delete(f"/v2/contacts/{ann}")
    assert (refused.status_code, refused.json()["message"].endswith("ERROR_CONTACT_SUPPRESSED")) == (400, True)


async def test_an_emptied_bin_gives_nobody_back(api: httpx.AsyncClient, box: SandboxApp) -> None:
    (ann,) = await add(api, "ann", dataFields={"FIRSTNAME": "Ann"})
    collection = box.store.insight.create("Orders", "contact", "orders")
    box.store.insight.put(collection, "SO1", {"n": 1}, ann)
    await api.delete("/contacts/v3/email/ann%40example.com")
    assert (await api.post("/v2/accounts/empty-recycle-bin")).status_code == 202
    assert not collection.records
    made = await revive(api)
    assert (made.status_code, made.json()["dataFields"]) == (201, {})
    assert made.json()["contactId"] != ann


async def test_a_deleted_data_field_takes_its_values_along(api: httpx.AsyncClient) -> None:
    await add(api, "ann", dataFields={"FIRSTNAME": "Ann", "OW_SPEND": 1})
    reply = await api.delete("/v2/data-fields/ow_spend")
    assert (reply.status_code, reply.json()) == (200, {"dependencies": None, "result": True})
    assert (await read(api)).json()["dataFields"] == {"FIRSTNAME": "Ann"}
    assert (await api.delete("/v2/data-fields/OW_SPEND")).json()["message"].endswith("ERROR_DATAFIELD_NOTFOUND")
