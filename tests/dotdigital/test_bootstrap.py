"""The account is made ready: planned without touching it, refused where types clash, and done once."""

from typing import Any

import orjson
import pytest

from streams.core.errors import ConfigurationError
from streams.dotdigital import bootstrap
from streams.dotdigital.bootstrap import Step, Targets
from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import CredentialsError, RegionError
from streams.dotdigital.tiers import Call
from streams.mapping import Mapping, load_mapping
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import Person

SHIPPED = load_mapping(None)
ENROLMENT = {"kind": "enrolment", "program": 5, "since": "2025-01-01T00:00:00Z"}


def mapped(**delivery: Any) -> Mapping:
    """The shipped mapping with parts of *delivery* exchanged."""
    whole = SHIPPED.model_dump(by_alias=True)
    return Mapping.model_validate(whole | {"delivery": whole["delivery"] | delivery})


async def ready(client: DotdigitalClient, mapping: Mapping = SHIPPED) -> None:
    await bootstrap.apply(client, await bootstrap.plan(client, mapping))


def actions(steps: tuple[Step, ...]) -> dict[str, str]:
    return {step.name: step.action for step in steps if step.action != "ok"}


def writes(calls: list[Call]) -> list[Call]:
    """Calls that may have changed something."""
    return [call for call in calls if not call.operation.startswith(("account-", "list-", "get-"))]


async def test_a_plan_names_everything_and_changes_nothing(client: DotdigitalClient, calls: list[Call]) -> None:
    steps = await bootstrap.plan(client, SHIPPED)
    assert {step.kind for step in steps} == {"data field", "collection", "list"}
    created = actions(steps)
    assert set(created.values()) == {"create"}
    assert {"OW_TOTAL_SPEND", "OW_LAST_SKUS", "Orders", "catalog_orderwise", "OW recent buyers"} <= created.keys()
    assert "FIRSTNAME" not in created
    assert writes(calls) == []


async def test_what_is_missing_is_created_with_its_types(client: DotdigitalClient) -> None:
    await ready(client)
    types = await client.data_fields()
    assert (types["OW_TOTAL_SPEND"], types["OW_LAST_ORDER"], types["OW_TRADE"]) == ("Numeric", "Date", "Boolean")
    assert types["OW_LAST_SKUS"] == "String"
    assert [(held.name, held.scope, held.type) for held in await client.collections()] == [
        ("Orders", "contact", "orders"),
        ("catalog_orderwise", "account", "catalog"),
    ]
    assert [held.name for held in await client.lists()] == ["Recent buyers", "OW recent buyers"]


async def test_a_second_time_there_is_nothing_to_do(client: DotdigitalClient, calls: list[Call]) -> None:
    await ready(client)
    before = writes(calls)
    steps = await bootstrap.plan(client, SHIPPED)
    await bootstrap.apply(client, steps)
    assert actions(steps) == {} and writes(calls) == before


async def test_a_field_of_another_type_stops_everything(client: DotdigitalClient, box: SandboxApp, calls: list[Call]) -> None:
    box.store.fields.define("ow_total_spend", "String")
    steps = await bootstrap.plan(client, SHIPPED)
    assert actions(steps)["OW_TOTAL_SPEND"] == "clash"
    with pytest.raises(ConfigurationError, match="OW_TOTAL_SPEND"):
        await bootstrap.apply(client, steps)
    assert writes(calls) == []


@pytest.mark.parametrize(("scope", "kind"), [("account", "orders"), ("contact", "custom")])
async def test_a_collection_of_another_kind_stops_everything(
    client: DotdigitalClient, box: SandboxApp, calls: list[Call], scope: str, kind: str
) -> None:
    box.store.insight.create("orders", scope, kind)
    steps = await bootstrap.plan(client, SHIPPED)
    assert actions(steps)["Orders"] == "clash"
    with pytest.raises(ConfigurationError, match=f"{kind} of scope {scope}"):
        await bootstrap.apply(client, steps)
    assert writes(calls) == []


async def test_a_property_of_another_type_stops_everything(client: DotdigitalClient, person: Person) -> None:
    person("ann@example.com")
    await client.ensure_collection("Orders", "contact", "orders")
    await client.put_record("Orders", "1", orjson.dumps({"order_total": "10.00"}), "ann@example.com")
    with pytest.raises(ConfigurationError, match="order_total is STRING, not FLOAT"):
        await ready(client)


@pytest.mark.parametrize("wanted", ["Recent buyers", "recent BUYERS ", 7])
async def test_a_list_is_found_by_name_or_id(client: DotdigitalClient, wanted: str | int) -> None:
    mapping = mapped(recent_buyers={"list": wanted})
    await ready(client, mapping)
    assert (await bootstrap.resolve(client, mapping)).recent_buyers == 7
    assert len(await client.lists()) == 1


async def test_a_list_of_digits_is_a_name(client: DotdigitalClient) -> None:
    steps = await bootstrap.plan(client, mapped(recent_buyers={"list": "7"}))
    assert actions(steps)["7"] == "create"


async def test_an_id_without_a_list_is_a_matter_for_a_person(client: DotdigitalClient, calls: list[Call]) -> None:
    steps = await bootstrap.plan(client, mapped(recent_buyers={"list": 99}))
    assert actions(steps)["99"] == "missing"
    with pytest.raises(ConfigurationError, match="list '99'"):
        await bootstrap.apply(client, steps)
    assert writes(calls) == []


@pytest.mark.parametrize(("program", "action"), [(5, None), (6, "missing"), (99, "missing")])
async def test_a_programme_must_run(client: DotdigitalClient, program: int, action: str | None) -> None:
    steps = await bootstrap.plan(client, mapped(follow_up=ENROLMENT | {"program": program}))
    assert actions(steps).get(str(program)) == action


async def test_what_is_not_delivered_is_not_asked_for(client: DotdigitalClient) -> None:
    mapping = mapped(orders=None, catalogue=None, recent_buyers=None)
    assert {step.kind for step in await bootstrap.plan(client, mapping)} == {"data field"}
    await ready(client, mapping)
    assert await bootstrap.resolve(client, mapping) == Targets(None, None, None, None)


async def test_without_mapped_products_there_is_no_catalogue(client: DotdigitalClient) -> None:
    mapping = SHIPPED.model_copy(update={"products": None})
    assert "catalog_orderwise" not in actions(await bootstrap.plan(client, mapping))


async def test_a_ready_account_says_where_deliveries_go(client: DotdigitalClient) -> None:
    mapping = mapped(recent_buyers={"list": 7}, follow_up=ENROLMENT)
    await ready(client, mapping)
    assert await bootstrap.resolve(client, mapping) == Targets("Orders", "catalog_orderwise", 7, 5)


async def test_an_account_that_is_not_ready_names_the_command(client: DotdigitalClient) -> None:
    with pytest.raises(ConfigurationError, match="owdd dotdigital apply --execute") as caught:
        await bootstrap.resolve(client, SHIPPED)
    assert "collection 'Orders'" in str(caught.value)


async def test_a_wrong_region_is_named_with_the_right_one(client: DotdigitalClient, box: SandboxApp) -> None:
    box.faults.update({"wrong_region": True})
    with pytest.raises(RegionError, match=r"https://r2-api\.dotdigital\.invalid"):
        await bootstrap.plan(client, SHIPPED)


async def test_wrong_credentials_are_not_taken_for_a_wrong_region(client: DotdigitalClient, box: SandboxApp) -> None:
    box.faults.update({"unauthorized": True})
    with pytest.raises(CredentialsError):
        await bootstrap.plan(client, SHIPPED)
