"""Collections and records, of the account and of contacts."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import httpx
import orjson
import pytest

from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import DataError, Limit, MissingError, NotFoundError, ThrottledError
from streams.dotdigital.imports import ImportState
from streams.dotdigital.insight import (
    Collection,
    ImportRecord,
    InsightImport,
    Property,
    RecordFailure,
    RecordPage,
    StoredRecord,
)
from streams.dotdigital.schemas import CATALOGUE, ORDERS, type_conflicts
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import NOON, Person, Recorder, settings_for

ANN = "ann+x/y@example.com"
NOW = int(NOON.timestamp())
ORDER = {
    "id": "SO/1",
    "order_status": "open",
    "purchase_date": "2025-02-28T10:00:00Z",
    "currency": "GBP",
    "order_subtotal": 20,
    "refund_total": 0,
    "order_total": 20.5,
    "despatch_date": "2025-03-01T10:00:00Z",
    "return_number": "R1",
    "products": [{"product_id": "5", "parent_id": "2", "sku": "A-1", "name": "Bolt", "price": 10.25, "qty": 2}],
}
ITEM = {
    "id": "5",
    "sku": "A-1",
    "name": "Bolt",
    "price": 10.25,
    "currency": "GBP",
    "stock": 3,
    "parent_id": "2",
    "product_code": "BOLT",
    "product_name": "Bolts",
    "categories": [{"id": "1", "name": "Fixings"}],
    "url": "https://shop.example/a-1",
    "image_path": "https://shop.example/a-1.png",
}
T = TypeVar("T")


@pytest.fixture
async def ready(client: DotdigitalClient, person: Person) -> DotdigitalClient:
    """The client of an account with both collections, and Ann."""
    person(ANN)
    await client.ensure_collection("Orders", "contact", "orders")
    await client.ensure_collection("catalog_site", "account", "catalog")
    return client


async def collect(pages: AsyncIterator[RecordPage]) -> list[list[StoredRecord]]:
    return [list(page.records) async for page in pages]


async def test_a_collection_is_made_once(client: DotdigitalClient) -> None:
    assert await client.ensure_collection("Orders", "contact", "orders")
    assert not await client.ensure_collection("orders", "account", "custom")
    assert await client.collections() == (Collection("Orders", "contact", "orders", 0),)


async def test_a_contacts_record_is_created_and_then_replaced(ready: DotdigitalClient, box: SandboxApp) -> None:
    assert await ready.put_record("Orders", "SO/1", b'{"order_total":10.10,"note":"x"}', ANN) == "created"
    assert await ready.put_record("Orders", "SO/1", b'{"order_total":7.00}', ANN) == "replaced"
    ((held,),) = await collect(ready.records("Orders", "contact", email=ANN))
    owner = box.store.find("email", ANN)
    assert owner is not None
    assert held == StoredRecord("SO/1", {"order_total": 7.0}, owner.id, NOW)


async def test_a_record_of_the_account_has_no_contact(ready: DotdigitalClient) -> None:
    assert await ready.put_record("catalog_site", "5", b'{"sku":"A-1"}') == "created"
    ((held,),) = await collect(ready.records("catalog_site", "account"))
    assert (held.key, held.contact_id) == ("5", None)


@pytest.mark.parametrize(
    ("collection", "email", "code"),
    [
        ("Orders", "nobody@example.com", "insightData:contactNotFound"),
        ("Nothing", ANN, "insightData:collectionNotFound"),
        ("catalog_none", None, "insightData:collectionNotFound"),
    ],
)
async def test_a_record_waits_for_what_it_depends_on(
    ready: DotdigitalClient, collection: str, email: str | None, code: str
) -> None:
    with pytest.raises(MissingError) as caught:
        await ready.put_record(collection, "1", b"{}", email)
    assert caught.value.code == code


async def test_a_record_that_does_not_fit_is_refused_for_itself(ready: DotdigitalClient) -> None:
    await ready.put_record("Orders", "1", b'{"order_total":1}', ANN)
    with pytest.raises(DataError) as caught:
        await ready.put_record("Orders", "2", b'{"order_total":"much"}', ANN)
    assert type(caught.value) is DataError and caught.value.code == "JsonValueIncompatibleWithSchema"


async def test_what_is_deleted_is_gone_and_gone_is_no_error(ready: DotdigitalClient) -> None:
    await ready.put_record("Orders", "1", b"{}", ANN)
    assert await ready.delete_record("Orders", "1", ANN)
    assert not await ready.delete_record("Orders", "1", ANN)
    assert not await ready.delete_record("Orders", "1", "nobody@example.com")
    assert not await ready.delete_record("Nothing", "1")


async def test_many_are_deleted_at_once(ready: DotdigitalClient) -> None:
    for key in "12":
        await ready.put_record("Orders", key, b"{}", ANN)
        await ready.put_record("catalog_site", key, b"{}")
    assert await ready.delete_records("Orders", ["1", "9"], ANN) == {"9"}
    assert await ready.delete_records("catalog_site", ["1", "2"]) == frozenset()
    assert [held.records for held in await ready.collections()] == [1, 0]


async def test_more_are_deleted_in_several_calls_and_none_in_none(ready: DotdigitalClient, budget: Recorder) -> None:
    keys = [str(number) for number in range(5001)]
    before = len(budget.asked)
    assert await ready.delete_records("catalog_site", []) == frozenset()
    assert len(budget.asked) == before
    assert await ready.delete_records("catalog_site", keys) == set(keys)
    assert len(budget.asked) == before + 2


async def test_an_import_reports_counts_and_refusals(ready: DotdigitalClient, advance: Callable[[float], None]) -> None:
    rows = [
        ImportRecord("1", b'{"order_total":10.10}', ANN),
        ImportRecord("2", b'{"order_total":1}', "Nobody@example.com"),
        ImportRecord("3", b'{"order_total":"much"}', ANN),
    ]
    number = await ready.import_records("Orders", "contact", "orders", rows)
    assert await ready.insight_import(number) == InsightImport(ImportState.RUNNING)
    advance(5)
    assert await ready.insight_import(number) == InsightImport(
        ImportState.DONE,
        total=3,
        imported=1,
        rejected=2,
        failures=(
            RecordFailure("2", "nobody@example.com", "contactemaildoesnotexist"),
            RecordFailure("3", ANN, "jsonvalueincompatiblewithschema"),
        ),
    )


async def test_an_import_of_the_account_makes_its_collection(
    client: DotdigitalClient, advance: Callable[[float], None]
) -> None:
    number = await client.import_records("catalog_new", "account", "catalog", [ImportRecord("5", b'{"stock":3}')])
    advance(5)
    assert (await client.insight_import(number)).imported == 1
    assert await client.collections() == (Collection("catalog_new", "account", "catalog", 1),)


async def test_a_report_in_other_words_is_the_same_report(
    ready: DotdigitalClient, box: SandboxApp, advance: Callable[[float], None]
) -> None:
    number = await ready.import_records("Orders", "contact", "orders", [ImportRecord("1", b"{}", "nobody@example.com")])
    advance(5)
    plain = await ready.insight_import(number)
    for fault in ("casing", "extra_members"):
        box.faults.update({"next": [fault]})
        assert await ready.insight_import(number) == plain


async def test_a_failed_import_has_no_counts(
    ready: DotdigitalClient, box: SandboxApp, advance: Callable[[float], None]
) -> None:
    box.faults.update({"next_import": ["import_failed"]})
    number = await ready.import_records("Orders", "contact", "orders", [ImportRecord("1", b"{}", ANN)])
    advance(5)
    assert await ready.insight_import(number) == InsightImport(ImportState.FAILED)


async def test_a_sixth_import_is_throttled(ready: DotdigitalClient) -> None:
    for number in range(5):
        await ready.import_records("Orders", "contact", "orders", [ImportRecord(str(number), b"{}", ANN)])
    with pytest.raises(ThrottledError) as caught:
        await ready.import_records("Orders", "contact", "orders", [ImportRecord("6", b"{}", ANN)])
    assert caught.value.scope is Limit.INSIGHT_IMPORTS


async def test_a_sixth_import_is_throttled_whatever_its_code_is() -> None:
    answer = httpx.Response(429, json={"errorCode": "insightData:somethingElse", "description": "Too many"})
    async with DotdigitalClient(settings_for(), print, httpx.MockTransport(lambda _: answer)) as client:
        with pytest.raises(ThrottledError) as caught:
            await client.import_records("Orders", "contact", "orders", [ImportRecord("6", b"{}", ANN)])
    assert caught.value.scope is Limit.INSIGHT_IMPORTS


async def test_an_import_that_nobody_knows_is_not_found(client: DotdigitalClient) -> None:
    with pytest.raises(NotFoundError):
        await client.insight_import("5b6bb1e0-0000-4000-8000-000000000000")


async def test_records_come_page_by_page(ready: DotdigitalClient) -> None:
    for key in "12345":
        await ready.put_record("Orders", key, b"{}", ANN)
    pages = await collect(ready.records("Orders", "contact", limit=2))
    assert [[record.key for record in page] for page in pages] == [["1", "2"], ["3", "4"], ["5"]]


async def test_records_of_before_are_left_out(ready: DotdigitalClient, advance: Callable[[float], None]) -> None:
    await ready.put_record("Orders", "1", b"{}", ANN)
    advance(60)
    await ready.put_record("Orders", "2", b"{}", ANN)
    pages = await collect(ready.records("Orders", "contact", modified=NOW + 1))
    assert [[record.key for record in page] for page in pages] == [["2"]]


async def test_a_schema_shows_what_the_records_fixed(ready: DotdigitalClient) -> None:
    assert await ready.schema("Orders") == ()
    await ready.put_record("Orders", "1", b'{"id":"1","products":[{"qty":2}]}', ANN)
    assert await ready.schema("orders") == (
        Property("id", "STRING", repeated=False),
        Property("products", "RECORD", repeated=True, fields=(Property("qty", "INTEGER", repeated=False),)),
    )


async def test_a_schema_needs_a_collection(client: DotdigitalClient) -> None:
    with pytest.raises(MissingError):
        await client.schema("Orders")


async def test_our_records_fit_the_types_that_we_expect(ready: DotdigitalClient) -> None:
    await ready.put_record("Orders", "SO/1", orjson.dumps(ORDER), ANN)
    await ready.put_record("catalog_site", "5", orjson.dumps(ITEM))
    for collection, wanted in (("Orders", ORDERS), ("catalog_site", CATALOGUE)):
        found = await ready.schema(collection)
        assert {field.name for field in found} == {field.name for field in wanted}
        assert list(type_conflicts(wanted, found)) == []


@pytest.mark.parametrize(
    ("record", "clash"),
    [
        ({"order_total": "10.00"}, "order_total is STRING, not FLOAT"),
        ({"purchase_date": "2025-02-28"}, "purchase_date is STRING, not TIMESTAMP"),
        ({"products": {"sku": "A"}}, "products is RECORD, not REPEATED RECORD"),
        ({"products": [{"qty": "2"}]}, "products.qty is STRING, not INTEGER"),
        ({"ID": 5}, "id is INTEGER, not STRING"),
    ],
)
async def test_a_property_of_another_type_is_named(ready: DotdigitalClient, record: object, clash: str) -> None:
    await ready.put_record("Orders", "1", orjson.dumps(record), ANN)
    assert list(type_conflicts(ORDERS, await ready.schema("Orders"))) == [clash]


def test_a_type_that_nobody_knows_is_left_to_dotdigital() -> None:
    assert list(type_conflicts(ORDERS, (Property("order_total", "MONEY", repeated=False),))) == []


def test_a_record_goes_out_as_it_is() -> None:
    assert ImportRecord("1", b'{"a":10.10}').encode() == b'{"key":"1","json":{"a":10.10}}'
    assert orjson.loads(ImportRecord("1", b"{}", ANN).encode())["contactIdentity"] == {"identifier": "email", "value": ANN}
