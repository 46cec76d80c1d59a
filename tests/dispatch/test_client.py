"""Every way in which a call can go wrong is told apart, and no error quotes the data."""

import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import httpx
import orjson
import pytest
import respx
from pydantic import SecretStr

from streams.dispatch.policies import client_config
from streams.dotdigital.client import Contact, DotdigitalClient
from streams.dotdigital.errors import (
    AccessError,
    ConnectivityError,
    ContactExistsError,
    CredentialsError,
    DataError,
    DotdigitalError,
    RegionError,
    ThrottledError,
)
from streams.settings import Settings

URL = "https://r1-api.dotdigital.com"
EMAIL = "ann.o'hara+x/y#z@example.com"
QUOTED = "ann.o%27hara%2Bx%2Fy%23z%40example.com"
FIELDS = b'{"FIRSTNAME":"Ann","OW_TOTAL_SPEND":10.10}'
FOUND = {"contactId": 7, "status": "subscribed", "channelProperties": {"email": {"status": "subscribed"}}}

Seen = list[tuple[str, str]]


@pytest.fixture
def seen() -> Seen:
    """What the observer was told: operation and status."""
    return []


@pytest.fixture
async def client(seen: Seen) -> AsyncIterator[DotdigitalClient]:
    settings = Settings(dotdigital_url=f"{URL}/", dotdigital_user=" api-user ", dotdigital_password=SecretStr(" secret\n"))
    async with DotdigitalClient(client_config(settings), lambda call: seen.append((call.operation, call.status))) as made:
        yield made


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


def answers(api: respx.MockRouter, response: httpx.Response) -> respx.Route:
    """Every call gets ``response``."""
    return api.route().mock(return_value=response)


def v3(status: int, code: str) -> httpx.Response:
    """An error as v3 gives it, quoting the data as v3 does."""
    return httpx.Response(status, json={"errorCode": code, "description": f"'{EMAIL}' named Ann is wrong"})


async def failure(client: DotdigitalClient) -> DotdigitalError:
    """The error of an update; checks that nothing of the person shows in it, traceback and causes included."""
    with pytest.raises(DotdigitalError) as caught:
        await client.upsert_by_email(EMAIL, FIELDS)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    shown += repr(caught.value.args) + str(caught.value.__dict__)
    for personal in (EMAIL, QUOTED, "Ann", "hara", "10.10", "secret"):
        assert personal not in shown.replace(__file__, "")
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "hint"), [(401, CredentialsError, "OWDD_DOTDIGITAL_PASSWORD"), (403, RegionError, "region")]
)
async def test_401_and_403_are_a_matter_of_access(
    client: DotdigitalClient, api: respx.MockRouter, status: int, kind: type[AccessError], hint: str
) -> None:
    answers(api, v3(status, "server:unauthorized"))
    error = await failure(client)
    assert type(error) is kind
    assert hint in str(error)


async def test_429_says_when_the_budget_returns(client: DotdigitalClient, api: respx.MockRouter) -> None:
    answers(api, httpx.Response(429, json={"message": "Too many requests."}, headers={"X-RateLimit-Reset": "1772"}))
    error = await failure(client)
    assert isinstance(error, ThrottledError)
    assert error.reset_at == 1772


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Reset": "soon"}])
async def test_429_without_a_usable_reset_is_still_throttling(
    client: DotdigitalClient, api: respx.MockRouter, headers: dict[str, str]
) -> None:
    answers(api, httpx.Response(429, text="slow down", headers=headers))
    error = await failure(client)
    assert isinstance(error, ThrottledError)
    assert error.reset_at is None


@pytest.mark.parametrize("reset", ["nan", "inf", "-inf"])
async def test_a_reset_that_is_no_number_is_no_reset(client: DotdigitalClient, api: respx.MockRouter, reset: str) -> None:
    answers(api, httpx.Response(429, text="slow down", headers={"X-RateLimit-Reset": reset}))
    error = await failure(client)
    assert isinstance(error, ThrottledError)
    assert error.reset_at is None


async def test_the_old_flat_limit_is_throttling_though_it_answers_400(client: DotdigitalClient, api: respx.MockRouter) -> None:
    message = "Your account has generated excess API activity. ERROR_APIUSAGE_EXCEEDED"
    answers(api, httpx.Response(400, json={"message": message}))
    assert type(await failure(client)) is ThrottledError


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_server_that_fails_is_asked_again_even_when_it_answers_html(
    client: DotdigitalClient, api: respx.MockRouter, status: int
) -> None:
    answers(api, httpx.Response(status, html=f"<html>{EMAIL}</html>"))
    error = await failure(client)
    assert isinstance(error, ConnectivityError)
    assert error.reason == f"http-{status}"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (httpx.ReadTimeout, "timeout"),
        (httpx.ConnectTimeout, "no-connection"),
        (httpx.PoolTimeout, "no-connection"),
        (httpx.ConnectError, "no-connection"),
        (httpx.ReadError, "no-answer"),
        (httpx.RemoteProtocolError, "no-answer"),
    ],
)
async def test_no_answer_is_asked_again(
    client: DotdigitalClient, api: respx.MockRouter, cause: type[httpx.RequestError], reason: str, seen: Seen
) -> None:
    api.route().mock(side_effect=cause)
    error = await failure(client)
    assert isinstance(error, ConnectivityError)
    assert error.reason == reason
    assert seen == [("patch-contact", "no-answer")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"contactId": 7, "channelProp', "not-json"),
        (b"", "not-json"),
        (b"[]", "unexpected"),
        (b"<html>ok</html>", "not-json"),
        (b'{"status": "subscribed"}', "unexpected"),
        (b'{"contactId": "7"}', "unexpected"),
    ],
)
async def test_a_success_that_cannot_be_read_is_not_believed(
    client: DotdigitalClient, api: respx.MockRouter, body: bytes, reason: str
) -> None:
    answers(api, httpx.Response(200, content=body))
    error = await failure(client)
    assert isinstance(error, ConnectivityError)
    assert error.reason == reason


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (v3(400, "contacts:invalidValue"), "contacts:invalidValue"),
        (v3(400, "contacts:invalidId"), "contacts:invalidId"),
        (httpx.Response(400, json={"message": f"{EMAIL}: ERROR_A and ERROR_CONTACT_INVALID"}), "ERROR_CONTACT_INVALID"),
        (httpx.Response(400, json=["ERROR_X"]), "http-400"),
        (httpx.Response(422, text="unreadable"), "http-422"),
    ],
)
async def test_a_refusal_carries_its_code_alone(
    client: DotdigitalClient, api: respx.MockRouter, response: httpx.Response, code: str
) -> None:
    answers(api, response)
    error = await failure(client)
    assert type(error) is DataError
    assert error.code == code


async def test_a_contact_that_exists_already_is_distinguished(client: DotdigitalClient, api: respx.MockRouter) -> None:
    answers(api, v3(409, "contacts:idAlreadyExists"))
    with pytest.raises(ContactExistsError):
        await client.create(EMAIL, FIELDS, "unsubscribed")


async def test_another_conflict_is_a_refusal(client: DotdigitalClient, api: respx.MockRouter) -> None:
    answers(api, v3(409, "contacts:somethingElse"))
    assert type(await failure(client)) is DataError


async def test_who_is_not_found_is_none_and_deleting_them_is_nothing(client: DotdigitalClient, api: respx.MockRouter) -> None:
    answers(api, v3(404, "contacts:contactNotFound"))
    assert await client.find(EMAIL) is None
    assert await client.delete(EMAIL) is False


async def test_a_404_of_somebody_else_is_not_taken_for_an_absent_contact(
    client: DotdigitalClient, api: respx.MockRouter
) -> None:
    answers(api, httpx.Response(404, html="<h1>no such page</h1>"))
    with pytest.raises(DotdigitalError):
        await client.find(EMAIL)


@pytest.mark.parametrize("operation", ["find", "update", "delete"])
async def test_an_address_is_one_path_segment_whatever_it_holds(
    client: DotdigitalClient, api: respx.MockRouter, operation: str
) -> None:
    route = answers(api, httpx.Response(200, json=FOUND))
    if operation == "update":
        await client.upsert_by_email(EMAIL, FIELDS)
    elif operation == "find":
        await client.find(EMAIL)
    else:
        assert await client.delete(EMAIL)
    sent = route.calls.last.request
    assert sent.url.raw_path.decode() == f"/contacts/v3/email/{QUOTED}"
    assert sent.url.query == b"" and sent.url.fragment == ""


async def test_a_data_update_says_nothing_about_status(client: DotdigitalClient, api: respx.MockRouter) -> None:
    route = answers(api, httpx.Response(200, json=FOUND))
    answer = await client.upsert_by_email(EMAIL, FIELDS)
    body = route.calls.last.request.content
    assert orjson.loads(body).keys() == {"identifiers", "dataFields"}
    assert FIELDS in body, "amounts go out digit for digit"
    assert answer.contact == Contact(7, "subscribed") and not answer.created


async def test_an_opt_out_is_the_status_unsubscribed(client: DotdigitalClient, api: respx.MockRouter) -> None:
    route = answers(api, httpx.Response(201, json=FOUND))
    answer = await client.upsert_by_email(EMAIL, FIELDS, "unsubscribed")
    assert orjson.loads(route.calls.last.request.content)["channelProperties"] == {"email": {"status": "unsubscribed"}}
    assert answer.created


async def test_a_creation_always_names_the_status(client: DotdigitalClient, api: respx.MockRouter) -> None:
    route = answers(api, httpx.Response(201, json=FOUND))
    statuses: tuple[Literal["subscribed", "unsubscribed"], ...] = ("subscribed", "unsubscribed")
    for status in statuses:
        await client.create(EMAIL, FIELDS, status)
        sent = orjson.loads(route.calls.last.request.content)
        assert sent["channelProperties"]["email"]["status"] == status
        assert sent["identifiers"] == {"email": EMAIL}


@pytest.mark.parametrize(
    "shown", ["Subscribed", "SUBSCRIBED", "softBounced", "Unsubscribed", "newInSomeRelease", "SharedDomainSuppression"]
)
async def test_a_status_comes_in_lower_case(client: DotdigitalClient, api: respx.MockRouter, shown: str) -> None:
    answers(api, httpx.Response(200, json=FOUND | {"channelProperties": {"email": {"status": shown}}}))
    found = await client.find(EMAIL)
    assert found is not None and found.email_status == shown.lower()


async def test_without_a_channel_the_contacts_own_status_counts(client: DotdigitalClient, api: respx.MockRouter) -> None:
    answers(api, httpx.Response(200, json={"contactId": 7, "status": "Unsubscribed"}))
    found = await client.find(EMAIL)
    assert found is not None and found.email_status == "unsubscribed"


async def test_blanks_around_the_credentials_do_not_count(client: DotdigitalClient, api: respx.MockRouter) -> None:
    route = answers(api, httpx.Response(200, json=FOUND))
    await client.find(EMAIL)
    sent = route.calls.last.request.headers["Authorization"]
    assert sent == httpx.BasicAuth("api-user", "secret")._auth_header


async def test_every_call_is_observed_with_its_status(client: DotdigitalClient, api: respx.MockRouter, seen: Seen) -> None:
    answers(api, v3(404, "contacts:contactNotFound"))
    await client.find(EMAIL)
    await client.delete(EMAIL)
    assert seen == [("get-contact", "404"), ("delete-contact", "404")]


async def test_account_properties_are_text_by_name(client: DotdigitalClient, api: respx.MockRouter) -> None:
    properties = [{"name": "ApiEndpoint", "type": "String", "value": URL}, {"name": "Limit", "value": 5}]
    answers(api, httpx.Response(200, json={"id": 1, "properties": properties}))
    assert await client.account() == {"ApiEndpoint": URL, "Limit": "5"}
