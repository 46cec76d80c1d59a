"""Insight data record by record and collection by collection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from testkit.sandbox import SandboxApp
from tests.testkit.sandbox.calls import add, read

SECOND = timedelta(seconds=1)
ROOT = "/insightData/v3"
ANN = f"{ROOT}/contacts/email/ann%40example.com"
ONE = f"{ANN}/Orders/SO1"
PRODUCT = f"{ROOT}/account/Catalog_Default/P1"
Advance = Callable[[timedelta], None]

pytestmark = pytest.mark.usefixtures("collections")


async def create(api: httpx.AsyncClient, name: str, scope: str, kind: str) -> httpx.Response:
    query = {"collectionScope": scope, "collectionType": kind}
    return await api.post(f"{ROOT}/collections/{name}", params=query)


def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["errorCode"]


@pytest_asyncio.fixture
async def collections(api: httpx.AsyncClient) -> None:
    await add(api, "ann", "bob")
    assert (await create(api, "Orders", "contact", "orders")).status_code == 201
    assert (await create(api, "Catalog_Default", "account", "catalog")).status_code == 201


class TestRecords:
    async def test_a_put_creates_and_then_replaces_the_whole_record(self, api: httpx.AsyncClient, advance: Advance) -> None:
        assert (await api.put(ONE, json={"order_total": 10.5, "order_status": "new"})).status_code == 201
        advance(timedelta(hours=1))
        replaced = await api.put(ONE, json={"order_total": 8.25})
        assert (replaced.status_code, replaced.content) == (204, b"")
        assert (await api.get(ONE)).json() == {
            "key": "SO1",
            "json": {"order_total": 8.25},
            "created": "2025-03-01T09:30:00.000Z",
            "updated": "2025-03-01T10:30:00.000Z",
            "ownerContactId": (await read(api)).json()["contactId"],
        }

    async def test_the_account_owns_records_without_a_contact(self, api: httpx.AsyncClient) -> None:
        await api.put(PRODUCT, json={"name": "Hat"})
        kept = (await api.get(PRODUCT)).json()
        assert (kept["json"], "ownerContactId" in kept) == ({"name": "Hat"}, False)

    @pytest.mark.parametrize("path", [ONE, PRODUCT])
    async def test_a_deleted_record_is_gone(self, api: httpx.AsyncClient, path: str) -> None:
        await api.put(path, json={"a": 1})
        assert (await api.delete(path)).status_code == 204
        assert code(await api.get(path)) == (404, "insightData:recordNotFound")
        assert code(await api.delete(path)) == (404, "insightData:recordNotFound")

    async def test_an_encoded_slash_belongs_to_its_segment(self, api: httpx.AsyncClient) -> None:
        await api.post("/contacts/v3", json={"identifiers": {"email": "a/b@example.com"}})
        path = f"{ROOT}/contacts/email/a%2Fb%40example.com/Orders/SO%2F1"
        assert (await api.put(path, json={"a": 1})).status_code == 201
        assert (await api.get(path)).json()["key"] == "SO/1"

    async def test_there_is_no_patch(self, api: httpx.AsyncClient) -> None:
        assert (await api.patch(ONE, json={"a": 1})).status_code == 405

    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            (f"{ANN}/NoSuch/1", (404, "insightData:collectionNotFound")),
            (f"{ANN}/Catalog_Default/1", (404, "insightData:collectionNotFound")),
            (f"{ROOT}/account/Orders/1", (404, "insightData:collectionNotFound")),
            (f"{ROOT}/account/my collection/1", (400, "insightData:invalidId")),
            (f"{ROOT}/contacts/email/x%40example.com/Orders/1", (404, "insightData:contactNotFound")),
            (f"{ROOT}/contacts/email/123646/Orders/1", (400, "insightData:invalidId")),
        ],
    )
    async def test_what_does_not_exist_is_named(self, api: httpx.AsyncClient, path: str, answer: tuple[int, str]) -> None:
        assert code(await api.put(path, json={"a": 1})) == answer

    @pytest.mark.parametrize("body", [b"{", b"[1]", b'"{}"'])
    async def test_a_record_is_a_json_object(self, api: httpx.AsyncClient, body: bytes) -> None:
        assert code(await api.put(ONE, content=body)) == (400, "insightData:badJson")

    async def test_a_record_that_does_not_fit_is_refused_and_the_old_one_stays(self, api: httpx.AsyncClient) -> None:
        await api.put(ONE, json={"order_total": 10})
        refused = await api.put(ONE, json={"order_total": "10"})
        assert code(refused) == (400, "insightData:badJson")
        assert refused.json()["details"][0]["item"] == "order_total"
        assert "JsonValueIncompatibleWithSchema" in refused.json()["description"]
        assert (await api.get(ONE)).json()["json"] == {"order_total": 10}

    async def test_a_key_belongs_to_one_contact(self, api: httpx.AsyncClient) -> None:
        await api.put(ONE, json={"a": 1})
        other = ONE.replace("ann", "bob")
        assert "KeyExistingForDifferentContact" in (await api.put(other, json={"a": 1})).json()["description"]
        assert (await api.get(other)).status_code == 404
        await api.delete(ONE)
        assert (await api.put(other, json={"a": 1})).status_code == 201

    @pytest.mark.parametrize(
        ("path", "records"),
        [(f"{ANN}/Orders", f"{ANN}/Orders"), (f"{ROOT}/accounts/Catalog_Default", f"{ROOT}/account/Catalog_Default")],
    )
    async def test_many_keys_are_deleted_at_once(self, api: httpx.AsyncClient, path: str, records: str) -> None:
        await api.put(f"{records}/1", json={"a": 1})
        reply = await api.request("DELETE", f"{path}/deleteRecords", json={"keys": ["1", "2"]})
        assert reply.json() == {
            "summary": {"totalRecords": 2, "totalDeleted": 1, "totalNotFound": 1},
            "notFound": ["2"],
        }
        empty = await api.request("DELETE", f"{path}/deleteRecords", json={"keys": []})
        assert code(empty) == (400, "insightData:noRecordsSpecified")


class TestListings:
    async def test_pages_follow_each_other_to_the_end(self, api: httpx.AsyncClient) -> None:
        for key in "abc":
            await api.put(f"{ANN}/Orders/{key}", json={"n": 1})
        first = (await api.get(f"{ROOT}/contacts/Orders?limit=2")).json()
        assert [item["key"] for item in first["_items"]] == ["a", "b"]
        second = (await api.get(first["_links"]["next"]["link"])).json()
        assert ([item["key"] for item in second["_items"]], "next" in second["_links"]) == (["c"], False)

    async def test_a_listing_is_of_the_account_one_contact_or_all(self, api: httpx.AsyncClient) -> None:
        await api.put(ONE, json={"n": 1})
        await api.put(ONE.replace("ann", "bob").replace("SO1", "SO2"), json={"n": 1})
        await api.put(PRODUCT, json={"n": 1})

        async def keys(path: str) -> list[str]:
            return [item["key"] for item in (await api.get(path)).json()["_items"]]

        assert await keys(f"{ROOT}/contacts/Orders") == ["SO1", "SO2"]
        assert await keys(f"{ANN}/Orders") == ["SO1"]
        assert await keys(f"{ROOT}/account/Catalog_Default") == ["P1"]

    async def test_only_what_changed_since(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await api.put(f"{ANN}/Orders/a", json={"n": 1})
        advance(timedelta(hours=1))
        await api.put(f"{ANN}/Orders/b", json={"n": 1})
        reply = await api.get(f"{ANN}/Orders", params={"~modified": "gte::2025-03-01T10:00:00.000Z"})
        assert [item["key"] for item in reply.json()["_items"]] == ["b"]
        wrong = await api.get(f"{ANN}/Orders", params={"~modified": "2025"})
        assert code(wrong) == (400, "insightData:invalidFilter")


class TestCollections:
    async def test_creating_one_again_changes_nothing(self, api: httpx.AsyncClient) -> None:
        assert (await create(api, "ORDERS", "account", "custom")).status_code == 200
        assert (await api.get(f"{ROOT}/collections")).json() == [
            {"collectionName": "Orders", "collectionType": "orders", "collectionScope": "contact", "recordCount": 0},
            {
                "collectionName": "Catalog_Default",
                "collectionType": "catalog",
                "collectionScope": "account",
                "recordCount": 0,
            },
        ]

    @pytest.mark.parametrize(
        ("name", "scope", "kind"),
        [
            ("1st", "account", "custom"),
            ("a", "account", "custom"),
            ("good", "both", "custom"),
            ("good", "account", "no"),
            ("good", "account", "catalog"),
        ],
    )
    async def test_a_bad_name_scope_or_type_is_refused(self, api: httpx.AsyncClient, name: str, scope: str, kind: str) -> None:
        assert code(await create(api, name, scope, kind)) == (400, "insightData:invalidId")

    async def test_an_account_holds_a_thousand(self, api: httpx.AsyncClient, box: SandboxApp) -> None:
        for number in range(998):
            box.store.insight.create(f"c_{number}", "account", "custom")
        assert (await create(api, "one_more", "account", "custom")).status_code == 412
        assert (await create(api, "Orders", "contact", "orders")).status_code == 200

    async def test_counts_are_by_account_and_by_contact(self, api: httpx.AsyncClient) -> None:
        await api.put(ONE, json={"n": 1})
        await api.put(ONE.replace("ann", "bob").replace("SO1", "SO2"), json={"n": 1})
        (of_account,) = (await api.get(f"{ROOT}/account")).json()
        (of_ann,) = (await api.get(ANN)).json()
        assert (of_account["collectionName"], of_ann["collectionName"], of_ann["recordCount"]) == (
            "Catalog_Default",
            "Orders",
            1,
        )

    async def test_the_schema_shows_what_records_have_fixed(self, api: httpx.AsyncClient) -> None:
        when = "2025-01-01T10:00:00Z"
        await api.put(ONE, json={"id": "SO1", "total": 1, "when": when, "products": [{"qty": 2, "price": 1.5}]})
        reply = (await api.get(f"{ROOT}/collections/orders/schema")).json()
        assert (reply["collectionName"], reply["collectionType"]) == ("Orders", "orders")
        (json,) = (field["fields"] for field in reply["schema"] if field["name"] == "json")
        assert [(field["name"], field["mode"], field["type"]) for field in json] == [
            ("id", "NULLABLE", "STRING"),
            ("total", "NULLABLE", "INTEGER"),
            ("when", "NULLABLE", "TIMESTAMP"),
            ("products", "REPEATED", "RECORD"),
        ]
        assert [(field["name"], field["type"]) for field in json[3]["fields"]] == [("qty", "INTEGER"), ("price", "FLOAT")]

    async def test_emptying_keeps_the_types_and_deleting_frees_them(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await api.put(ONE, json={"total": "text"})
        emptied = await api.delete(f"{ROOT}/collections/Orders/empty")
        assert emptied.status_code == 202
        job = f"{ROOT}/async/{emptied.json()['jobId']}"
        assert (await api.get(job)).json()["status"] == "NotStarted"
        advance(SECOND)
        done = (await api.get(job)).json()
        assert (done["status"], done["summary"]["totalProcessed"]) == ("Finished", 1)
        assert (await api.put(ONE, json={"total": 1})).status_code == 400
        assert (await api.delete(f"{ROOT}/collections/Orders")).status_code == 202
        advance(SECOND)
        assert code(await api.put(ONE, json={"total": 1})) == (404, "insightData:collectionNotFound")
        await create(api, "Orders", "contact", "orders")
        assert (await api.put(ONE, json={"total": 1})).status_code == 201

    async def test_one_contact_can_be_emptied(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await api.put(ONE, json={"n": 1})
        other = ONE.replace("ann", "bob").replace("SO1", "SO2")
        await api.put(other, json={"n": 1})
        assert (await api.delete(f"{ANN}/Orders/empty")).status_code == 202
        advance(SECOND)
        assert [(await api.get(path)).status_code for path in (ONE, other)] == [404, 200]

    async def test_unknown_jobs_are_a_404(self, api: httpx.AsyncClient) -> None:
        assert code(await api.get(f"{ROOT}/async/nothing")) == (404, "insightData:asyncJobNotFound")


async def test_records_share_the_fate_of_their_contact(api: httpx.AsyncClient, box: SandboxApp, advance: Advance) -> None:
    await api.put(ONE, json={"n": 1})
    await api.delete("/contacts/v3/email/ann%40example.com")
    assert code(await api.get(ONE)) == (404, "insightData:contactNotFound")
    assert (await api.get(f"{ROOT}/contacts/Orders")).json()["_items"] == []
    await api.patch("/contacts/v3/email/ann%40example.com", json={"identifiers": {"email": "ann@example.com"}})
    assert (await api.get(ONE)).status_code == 200
    await api.delete("/contacts/v3/email/ann%40example.com")
    advance(timedelta(days=31))
    await read(api)
    collection = box.store.insight.find("Orders")
    assert collection is not None
    assert not collection.records
