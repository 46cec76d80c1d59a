"""Data fields: their definitions, their types, and that no number loses a digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.sandbox.codec import dumps, loads
from testkit.sandbox.datafields import DataFields

ANN = "/contacts/v3/email/ann%40example.com"


async def write(api: httpx.AsyncClient, fields: dict[str, object]) -> httpx.Response:
    return await api.patch(ANN, json={"identifiers": {"email": "ann@example.com"}, "dataFields": fields})


async def stored(api: httpx.AsyncClient, fields: dict[str, object]) -> dict[str, Any]:
    reply = await write(api, fields)
    assert reply.is_success, reply.text
    shown: dict[str, Any] = reply.json()["dataFields"]
    return shown


@pytest.mark.asyncio
class TestValues:
    async def test_names_match_in_any_case_and_come_back_as_defined(self, api: httpx.AsyncClient) -> None:
        assert await stored(api, {"firstName": "Ann"}) == {"FIRSTNAME": "Ann"}

    async def test_null_clears(self, api: httpx.AsyncClient) -> None:
        await stored(api, {"FIRSTNAME": "Ann", "OW_SPEND": 1})
        assert await stored(api, {"FIRSTNAME": None, "OW_LAST": None}) == {"OW_SPEND": 1}

    async def test_each_bad_field_has_its_detail(self, api: httpx.AsyncClient) -> None:
        reply = await write(api, {"NOPE": 1, "OW_SPEND": "1", "FIRSTNAME": "Ann"})
        assert (reply.status_code, reply.json()["errorCode"]) == (400, "contacts:invalidValue")
        assert [row["item"] for row in reply.json()["details"]] == ["NOPE", "OW_SPEND"]
        assert all(row["description"] for row in reply.json()["details"])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("FIRSTNAME", "x" * 1000),
            ("FIRSTNAME", ""),
            ("OW_SPEND", 0),
            ("OW_SPEND", -12.5),
            ("OW_SPEND", 10**18 - 1),
            ("OW_SPEND", 0.000000001),
            ("OW_LAST", "2025-03-01T12:00:00Z"),
            ("OW_LAST", "2025-03-01T12:00:00.000Z"),
            ("OW_TRADE", False),
        ],
    )
    async def test_a_fitting_value_comes_back_as_sent(self, api: httpx.AsyncClient, name: str, value: object) -> None:
        shown = await stored(api, {name: value})
        assert (shown, type(shown[name])) == ({name: value}, type(value))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("FIRSTNAME", "x" * 1001),
            ("FIRSTNAME", 1),
            ("FIRSTNAME", ["x"]),
            ("OW_SPEND", "12.50"),
            ("OW_SPEND", True),
            ("OW_SPEND", 10**18),
            ("OW_SPEND", -(10**30)),
            ("OW_SPEND", 0.0000000001),
            ("OW_LAST", "2025-03-01"),
            ("OW_LAST", "2025-03-01T12:00:00"),
            ("OW_LAST", "2025-13-01T12:00:00Z"),
            ("OW_LAST", "01/03/2025"),
            ("OW_LAST", 1740830400),
            ("OW_TRADE", "true"),
            ("OW_TRADE", 1),
        ],
    )
    async def test_an_unfit_value_is_refused(self, api: httpx.AsyncClient, name: str, value: object) -> None:
        reply = await write(api, {name: value})
        assert (reply.status_code, reply.json()["details"][0]["item"]) == (400, name)

    async def test_a_local_time_comes_back_in_utc(self, api: httpx.AsyncClient) -> None:
        assert await stored(api, {"OW_LAST": "2025-06-01T00:30:00+01:00"}) == {"OW_LAST": "2025-05-31T23:30:00Z"}


@given(st.decimals(-(10**18) + 1, 10**18 - 1, places=9))
def test_any_number_that_fits_keeps_every_digit(number: Decimal) -> None:
    sent = format(number, "f").encode()
    value = loads(sent)
    accepted, rejected = DataFields({"N": "Numeric"}).check({"N": value})
    assert not rejected
    assert json.loads(dumps(accepted), parse_float=Decimal, parse_int=Decimal) == {"N": number}


def test_digits_that_a_double_would_hide_still_count() -> None:
    _, rejected = DataFields({"N": "Numeric"}).check({"N": loads(b"0.1000000000000000055")})
    assert rejected


@pytest.mark.asyncio
class TestDefinitions:
    async def test_the_account_starts_with_built_ins_and_configured_fields(self, api: httpx.AsyncClient) -> None:
        rows = (await api.get("/v2/data-fields")).json()
        assert rows[0] == {"name": "FIRSTNAME", "type": "String", "visibility": "Public", "defaultValue": None}
        kinds = {row["name"]: row["type"] for row in rows}
        assert kinds["LASTSUBSCRIBED"] == "Date"
        assert kinds["OW_SPEND"] == "Numeric"

    async def test_a_new_field_can_be_used_at_once(self, api: httpx.AsyncClient) -> None:
        made = await api.post("/v2/data-fields", json={"Name": "OW_AOV", "Type": "numeric", "Visibility": "private"})
        assert made.status_code == 201
        assert made.json() == {"name": "OW_AOV", "type": "Numeric", "visibility": "Private", "defaultValue": None}
        assert await stored(api, {"OW_AOV": 3.25}) == {"OW_AOV": 3.25}

    async def test_a_second_definition_is_refused_in_any_case(self, api: httpx.AsyncClient) -> None:
        reply = await api.post("/v2/data-fields", json={"name": "firstname", "type": "String"})
        assert reply.status_code == 400
        assert reply.json()["message"].endswith("ERROR_NON_UNIQUE_DATAFIELD")

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "X" * 21, "type": "String"},
            {"name": "A B", "type": "String"},
            {"name": "email", "type": "String"},
            {"name": "OW_X", "type": "Text"},
            {"name": "OW_X"},
            {"type": "String"},
            {"name": "OW_X", "type": "String", "visibility": "hidden"},
        ],
    )
    async def test_an_impossible_definition_is_refused(self, api: httpx.AsyncClient, body: dict[str, str]) -> None:
        reply = await api.post("/v2/data-fields", json=body)
        assert reply.status_code == 400
        assert reply.json()["message"].endswith("ERROR_DATAFIELD_INVALID")

    @pytest.mark.parametrize("body", ["", "[]"])
    async def test_a_malformed_definition_is_refused(self, api: httpx.AsyncClient, body: str) -> None:
        reply = await api.post("/v2/data-fields", content=body)
        assert reply.json()["message"].endswith("ERROR_MALFORMED_REQUEST")
