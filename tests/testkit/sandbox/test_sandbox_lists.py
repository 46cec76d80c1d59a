"""Address books: who is on a list, how they come there and how they leave."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from testkit.sandbox import SandboxConfig, create_app
from tests.testkit.sandbox.calls import add, read
from tests.testkit.sandbox.conftest import CREDENTIALS

BOOKS = "/v2/address-books"
BUYERS = f"{BOOKS}/7"
Advance = Callable[[timedelta], None]


async def members(api: httpx.AsyncClient) -> list[str]:
    return [contact["email"] for contact in (await api.get(f"{BUYERS}/contacts")).json()]


async def put_on(api: httpx.AsyncClient, name: str = "ann", **more: object) -> httpx.Response:
    return await api.post(f"{BUYERS}/contacts", json={"Email": f"{name}@example.com", **more})


def failed(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["message"].rsplit(" ", 1)[-1]


class TestLists:
    async def test_a_new_list_gets_the_next_id(self, api: httpx.AsyncClient) -> None:
        made = await api.post(BOOKS, json={"Name": "News", "visibility": "public"})
        assert (made.status_code, made.json()) == (201, {"id": 8, "name": "News", "visibility": "Public", "contacts": 0})
        await put_on(api)
        assert (await api.get(BOOKS)).json() == [
            {"id": 7, "name": "Recent buyers", "visibility": "Private", "contacts": 1},
            made.json(),
        ]
        assert (await api.get(f"{BOOKS}?select=1&skip=1")).json() == [made.json()]

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("recent BUYERS", "ERROR_ADDRESSBOOK_DUPLICATE"),
            ("Test", "ERROR_ADDRESSBOOK_DUPLICATE"),
            ("x" * 129, "ERROR_ADDRESSBOOK_INVALID"),
            ("", "ERROR_ADDRESSBOOK_INVALID"),
            (None, "ERROR_ADDRESSBOOK_INVALID"),
        ],
    )
    async def test_a_name_that_cannot_be_is_refused(self, api: httpx.AsyncClient, name: object, code: str) -> None:
        assert failed(await api.post(BOOKS, json={"name": name})) == (400, code)

    async def test_a_list_is_renamed_and_deleted_with_its_memberships(self, api: httpx.AsyncClient) -> None:
        await put_on(api)
        renamed = await api.put(BUYERS, json={"name": "Recent Buyers"})
        assert renamed.json() == {"id": 7, "name": "Recent Buyers", "visibility": "Private", "contacts": 1}
        assert (await read(api)).json()["lists"][0]["name"] == "Recent Buyers"
        assert (await api.delete(BUYERS)).status_code == 204
        assert (await read(api)).json()["lists"] == []
        assert failed(await api.get(BUYERS)) == (404, "ERROR_ADDRESSBOOK_NOT_FOUND")
        assert (await api.post(BOOKS, json={"name": "Next"})).json()["id"] == 8

    async def test_an_account_may_be_full(self) -> None:
        box = create_app(SandboxConfig(*CREDENTIALS, lists={1: "One"}, most_lists=1))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(box), base_url="http://sandbox", auth=CREDENTIALS) as api:
            assert failed(await api.post(BOOKS, json={"name": "Two"})) == (400, "ERROR_ADDRESSBOOK_LIMITEXCEEDED")

    @pytest.mark.parametrize("query", ["select=0", "select=1001", "skip=-1", "select=x"])
    async def test_pages_have_bounds(self, api: httpx.AsyncClient, query: str) -> None:
        assert failed(await api.get(f"{BOOKS}?{query}")) == (400, "ERROR_PARAMETER_INVALID")


class TestMembers:
    async def test_adding_creates_or_updates_the_contact(self, api: httpx.AsyncClient) -> None:
        fields = [{"Key": "FIRSTNAME", "Value": "Ann"}]
        made = await put_on(api, OptInType="single", EmailType="plaintext", DataFields=fields)
        assert made.json() == {
            "id": 100_001,
            "email": "ann@example.com",
            "optInType": "Single",
            "emailType": "PlainText",
            "dataFields": [{"key": "FIRSTNAME", "value": "Ann"}],
            "status": "Subscribed",
        }
        again = await put_on(api, dataFields=[{"key": "LASTNAME", "value": "Lee"}])
        assert (again.json()["id"], len(again.json()["dataFields"])) == (100_001, 2)
        assert await members(api) == ["ann@example.com"]

    @pytest.mark.parametrize(
        ("more", "code"),
        [
            ({"Email": "nobody"}, "ERROR_INVALID_EMAIL"),
            ({"optInType": "maybe"}, "ERROR_CONTACT_INVALID"),
            ({"dataFields": {"FIRSTNAME": "Ann"}}, "ERROR_CONTACT_INVALID"),
            ({"dataFields": [{"key": "NO_SUCH", "value": 1}]}, "ERROR_DATAFIELD_NOTFOUND"),
            ({"dataFields": [{"key": "FIRSTNAME", "value": "x" * 1001}]}, "ERROR_DATAFIELD_VALUE_OVERFLOW"),
            ({"dataFields": [{"key": "FIRSTNAME", "value": 1}]}, "ERROR_DATAFIELD_INVALID"),
        ],
    )
    async def test_a_bad_contact_is_not_added(self, api: httpx.AsyncClient, more: dict[str, object], code: str) -> None:
        assert failed(await put_on(api, "ann", **more)) == (400, code)
        assert await members(api) == []

    async def test_a_suppressed_contact_is_not_added(self, api: httpx.AsyncClient) -> None:
        await add(api, "ann", status="hardBounced")
        assert failed(await put_on(api)) == (400, "ERROR_CONTACT_SUPPRESSED")

    async def test_a_contact_leaves_by_its_id(self, api: httpx.AsyncClient) -> None:
        ann = (await put_on(api)).json()["id"]
        assert [book["id"] for book in (await api.get(f"/v2/contacts/{ann}/address-books")).json()] == [7]
        assert (await api.delete(f"{BUYERS}/contacts/{ann}")).status_code == 204
        assert await members(api) == []
        assert (await api.delete(f"{BUYERS}/contacts/{ann}")).status_code == 204

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            (f"{BOOKS}/9/contacts/100001", "ERROR_ADDRESSBOOK_NOT_FOUND"),
            (f"{BUYERS}/contacts/9", "ERROR_CONTACT_NOT_FOUND"),
            (f"{BUYERS}/contacts/ann", "ERROR_CONTACT_NOT_FOUND"),
        ],
    )
    async def test_what_does_not_exist_is_named(self, api: httpx.AsyncClient, path: str, code: str) -> None:
        await put_on(api)
        assert failed(await api.delete(path)) == (404, code)

    @pytest.mark.parametrize(("path", "left"), [("delete", ["bob@example.com"]), ("delete-all", [])])
    async def test_many_leave_in_the_background(
        self, api: httpx.AsyncClient, advance: Advance, path: str, left: list[str]
    ) -> None:
        ann = (await put_on(api)).json()["id"]
        await put_on(api, "bob")
        reply = await api.post(f"{BUYERS}/contacts/{path}", json=[ann])
        assert (reply.status_code, reply.json()["status"]) == (202, "Started")
        job = f"/v2/contacts/deletion/{reply.json()['id']}"
        assert (await api.get(job)).json()["status"] == "Started"
        advance(timedelta(seconds=1))
        assert (await api.get(job)).json()["status"] == "Completed"
        assert await members(api) == left

    async def test_nobody_is_a_400(self, api: httpx.AsyncClient) -> None:
        reply = await api.post(f"{BUYERS}/contacts/delete", json=[])
        assert failed(reply) == (400, "ERROR_CONTACTS_ARE_NOT_SPECIFIED")
        assert (await api.get("/v2/contacts/deletion/1")).status_code == 404
