"""Answers that the sandbox cannot give: codes in any place, unknown ones, and what is kept of those."""

from collections.abc import Callable

import httpx
import pytest

from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.codes import CODES, ErrorClass, explain
from streams.dotdigital.errors import (
    AccessError,
    ConnectivityError,
    ContactExistsError,
    DataError,
    DotdigitalError,
    Limit,
    MissingError,
    NotFoundError,
    ThrottledError,
    TransientError,
    UnavailableError,
)

Answering = Callable[[httpx.Response], DotdigitalClient]
KINDS: dict[ErrorClass, type[DotdigitalError]] = {
    ErrorClass.LATER: TransientError,
    ErrorClass.UNAVAILABLE: UnavailableError,
    ErrorClass.THROTTLED: ThrottledError,
    ErrorClass.ACCESS: AccessError,
    ErrorClass.EXISTS: ContactExistsError,
    ErrorClass.MISSING: MissingError,
    ErrorClass.NOT_FOUND: NotFoundError,
    ErrorClass.DATA: DataError,
}


def body_of(code: str) -> dict[str, str]:
    if code.startswith("ERROR_"):
        return {"message": f"Ann could not be written. {code} "}
    return {"errorCode": code, "description": "Ann could not be written"}


async def refused(client: DotdigitalClient) -> DotdigitalError:
    with pytest.raises(DotdigitalError) as caught:
        await client.lists()
    return caught.value


@pytest.mark.parametrize("code", [code for code in CODES if ":" in code or code.startswith("ERROR_")])
async def test_every_code_becomes_the_error_of_its_verdict(answering: Answering, code: str) -> None:
    error = await refused(answering(httpx.Response(400, json=body_of(code))))
    meaning = explain(code)
    assert type(error) is KINDS[meaning.error_class]
    if isinstance(error, ThrottledError):
        assert error.scope is meaning.limit
    else:
        assert code in str(error) and "Ann" not in str(error)


async def test_of_an_unknown_code_the_shape_is_kept_and_no_value(answering: Answering) -> None:
    body = {
        "errorCode": "lists:brandNew",
        "description": "ann@example.com is odd",
        "details": [{"item": "ann@example.com", "ann@example.com": 5, "deep": {"er": {"est": "Ann"}}}],
        "retry": True,
    }
    error = await refused(answering(httpx.Response(400, json=body)))
    assert isinstance(error, DataError) and error.code == "lists:brandNew"
    assert error.shape == ("{errorCode: str, description: str, details: [{item: str, ?: int, deep: dict}, …], retry: bool}")


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"message": "no code in it"}, "{message: str}"),
        ([], "[]"),
        ("ann@example.com", "str"),
        ({"errorCode": "ann@example.com is odd"}, "{errorCode: str}"),
        ({f"member{'x' * 20}{number}": 1 for number in range(40)}, None),
    ],
)
async def test_without_a_code_the_status_is_the_code(answering: Answering, body: object, shape: str | None) -> None:
    error = await refused(answering(httpx.Response(400, json=body)))
    assert isinstance(error, DataError) and error.code == "http-400"
    assert error.shape == shape if shape else len(error.shape) == 300


async def test_a_known_code_needs_no_shape(answering: Answering) -> None:
    error = await refused(answering(httpx.Response(400, json=body_of("contacts:invalidValue"))))
    assert isinstance(error, DataError) and error.shape == ""


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("JsonValueTooLong: Property 'name' is longer than 1000 characters", "JsonValueTooLong"),
        ("Unknown property Ann", "insightData:badJson"),
        ("The JSON is badly formed", "insightData:badJson"),
    ],
)
async def test_a_records_refusal_is_known_by_the_word_of_reports(answering: Answering, description: str, code: str) -> None:
    body = {"errorCode": "insightData:badJson", "description": description}
    error = await refused(answering(httpx.Response(400, json=body)))
    assert type(error) is DataError and error.code == code


async def test_an_outage_outweighs_its_code(answering: Answering) -> None:
    error = await refused(answering(httpx.Response(503, json=body_of("contacts:invalidValue"))))
    assert isinstance(error, ConnectivityError) and error.reason == "http-503"


@pytest.mark.parametrize("code", ["contacts:tooManyActiveImports", "ERROR_IMPORT_TOOMANYACTIVEIMPORTS"])
async def test_a_ceiling_of_jobs_is_one_whatever_its_status(answering: Answering, code: str) -> None:
    for status in (400, 429):
        error = await refused(answering(httpx.Response(status, json=body_of(code), headers={"X-RateLimit-Reset": "60"})))
        assert isinstance(error, ThrottledError)
        assert (error.scope, error.reset_at) == (Limit.CONTACT_IMPORTS, None), "the minute's end frees no place"


async def test_a_wrong_url_is_nobodys_data(answering: Answering) -> None:
    for answer in (httpx.Response(404, html="<h1>nothing here</h1>"), httpx.Response(302), httpx.Response(405)):
        error = await refused(answering(answer))
        assert isinstance(error, AccessError) and "OWDD_DOTDIGITAL_URL" in str(error)
