"""Who may read the console: pure, or over the application without a broker."""

import httpx
import pytest
from pydantic import SecretStr

from streams.console.access import Access
from streams.console.app import create_app
from streams.core.clock import ManualClock
from streams.core.errors import ConfigurationError
from streams.mapping import load_mapping
from streams.settings import Settings

PASS = "the token of people"
CLIENT, OTHER = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nobody could sign in"),
        ({"console_user_header": "X-Forwarded-Email"}, "anybody could send the header"),
        ({"console_user_header": "X-Forwarded-Email", "console_proxies": "10.0.0.1/8"}, "OWDD_CONSOLE_PROXIES"),
    ],
)
def test_a_console_that_nobody_or_everybody_could_read_does_not_start(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Access.of(Settings(**settings), ManualClock())  # type: ignore[arg-type]


def test_tokens_cannot_be_guessed_by_trying_and_one_who_tries_locks_nobody_else_out() -> None:
    clock = ManualClock()
    access = Access.of(Settings(console_token=SecretStr(PASS)), clock)
    for _ in range(20):
        assert access.sign_in("wrong", CLIENT) is None
    assert access.sign_in(PASS, CLIENT) is None
    assert access.sign_in(PASS, OTHER) is not None
    clock.advance(61)
    assert access.sign_in(PASS, CLIENT) is not None


def test_addresses_that_tried_are_remembered_up_to_a_number() -> None:
    access = Access.of(Settings(console_token=SecretStr(PASS)), ManualClock())
    for number in range(3_000):
        access.sign_in("wrong", f"host-{number}")
    assert len(access._failures) == 1_000


async def test_only_a_session_opens_a_page_and_not_the_token_itself() -> None:
    app = create_app(Settings(console_token=SecretStr(PASS)), load_mapping())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as http:
        assert (await http.get("/contact", headers={"authorization": f"Bearer {PASS}"})).status_code == 303
        await http.post("/sign-in", data={"token": PASS})
        assert (await http.get("/contact")).status_code == 200


@pytest.mark.parametrize(
    ("base", "headers", "secure"),
    [
        ("http://console", {}, False),
        ("https://console", {}, True),
        ("http://console", {"x-forwarded-proto": "https"}, True),
        ("http://console", {"x-forwarded-proto": "http"}, False),
    ],
)
async def test_behind_tls_the_cookie_is_sent_by_tls_only(base: str, headers: dict[str, str], *, secure: bool) -> None:
    app = create_app(Settings(console_token=SecretStr(PASS)), load_mapping())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base, headers=headers) as http:
        done = await http.post("/sign-in", data={"token": PASS})
    assert ("secure" in done.headers["set-cookie"].lower()) is secure
