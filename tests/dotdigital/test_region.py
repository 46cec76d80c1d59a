"""Where the account lives, and what is said when that, or the credentials, are wrong."""

from collections.abc import Callable

import httpx
import pytest

from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.credentials import Credentials
from streams.dotdigital.errors import AccessError, CredentialsError, RegionError
from streams.dotdigital.region import GLOBAL_URL, discover
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import PASSWORD, USER, settings_for

R2 = "https://r2-api.dotdigital.com"


def region(named: object) -> tuple[list[str], httpx.MockTransport]:
    """The hosts that are asked, and a Dotdigital whose account names ``named`` as its endpoint."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url.scheme}://{request.url.host}{request.url.path}")
        if request.url.path == "/v2/account-info":
            return httpx.Response(200, json={"properties": [{"name": "ApiEndpoint", "value": named}]})
        return httpx.Response(200, json=[])

    return asked, httpx.MockTransport(answer)


@pytest.mark.parametrize("named", [R2, f"{R2}/", f" {R2}/ "])
async def test_auto_asks_the_account_once_and_goes_where_it_lives(named: str) -> None:
    asked, transport = region(named)
    async with DotdigitalClient(settings_for("auto"), print, transport) as client:
        await client.lists()
        await client.lists()
    assert asked == [f"{GLOBAL_URL}/v2/account-info", *[f"{R2}/v2/address-books"] * 2]


async def test_a_given_url_is_not_questioned() -> None:
    asked, transport = region(R2)
    async with DotdigitalClient(settings_for("https://proxy.example/dd/"), print, transport) as client:
        await client.lists()
    assert asked == ["https://proxy.example/dd/v2/address-books"]


@pytest.mark.parametrize(
    "named", ["https://r2-api.dotdigital.com.example", "http://r2-api.dotdigital.com", "https://evildotdigital.com", "nonsense"]
)
async def test_credentials_go_to_nobody_else(named: str) -> None:
    asked, transport = region(named)
    with pytest.raises(AccessError) as caught:
        async with DotdigitalClient(settings_for("auto"), print, transport):
            pass
    assert caught.value.code == "foreign-endpoint" and asked == [f"{GLOBAL_URL}/v2/account-info"]


@pytest.mark.parametrize("named", [None, ""])
async def test_an_account_that_names_no_endpoint_needs_the_url(named: str | None) -> None:
    _, transport = region(named)
    with pytest.raises(AccessError) as caught:
        async with DotdigitalClient(settings_for("auto"), print, transport):
            pass
    assert caught.value.code == "no-endpoint" and "OWDD_DOTDIGITAL_URL" in str(caught.value)


async def test_a_sandbox_leads_to_itself(client: DotdigitalClient) -> None:
    assert await discover(client, "http://sandbox") == "http://sandbox"


async def test_wrong_credentials_are_said_at_the_entrance() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(401, json={"message": "Authorization has been denied"}))
    with pytest.raises(CredentialsError) as caught:
        async with DotdigitalClient(settings_for("auto"), print, transport):
            pass
    assert "OWDD_DOTDIGITAL_PASSWORD" in str(caught.value)


async def test_wrong_credentials_and_a_wrong_region_are_two_messages(client: DotdigitalClient, box: SandboxApp) -> None:
    box.faults.update({"wrong_region": True})
    with pytest.raises(RegionError) as elsewhere:
        await client.find("ann@example.com")
    box.faults.update({"wrong_region": False, "unauthorized": True})
    with pytest.raises(CredentialsError) as unknown:
        await client.find("ann@example.com")
    assert "another region" in str(elsewhere.value) and "password is wrong" in str(unknown.value)


@pytest.mark.parametrize("blank", ["{} ", " {}", "{}\n", "\t{}\r\n"])
async def test_blanks_are_removed_and_said(box: SandboxApp, blank: str) -> None:
    settings = settings_for(user=blank.format(USER), password=blank.format(PASSWORD))
    async with DotdigitalClient(settings, print, httpx.ASGITransport(box)) as client:
        assert await client.find("ann@example.com") is None
    credentials = Credentials.of(settings)
    assert credentials.blanks == ("OWDD_DOTDIGITAL_USER", "OWDD_DOTDIGITAL_PASSWORD")
    assert credentials.warning and "OWDD_DOTDIGITAL_PASSWORD" in credentials.warning
    assert PASSWORD not in repr(credentials) + credentials.warning


def test_without_blanks_there_is_nothing_to_say() -> None:
    assert Credentials.of(settings_for()).warning is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"message": "Error: ERROR_FEATURENOTACTIVE"}, "ERROR_FEATURENOTACTIVE"),
        ({"message": "ERROR_ACCOUNT_INVALID "}, "ERROR_ACCOUNT_INVALID"),
    ],
)
async def test_a_403_with_a_reason_is_not_a_matter_of_the_region(
    body: dict[str, str], code: str, answering: Callable[[httpx.Response], DotdigitalClient]
) -> None:
    with pytest.raises(AccessError) as caught:
        await answering(httpx.Response(403, json=body)).lists()
    assert type(caught.value) is AccessError and caught.value.code == code
