"""No page's log line holds an address, whatever a reader types into the address bar; without a broker."""

import httpx
import pytest
import structlog
from pydantic import SecretStr

from streams.console.app import create_app
from streams.mapping import load_mapping
from streams.settings import Settings
from tests.agents.pipeline import ANN

PASS = "the token of people"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("about", [ANN, "0123456789abcde", "0123456789ABCDEF", "0123456789abcdef0"])
async def test_a_contact_is_named_by_hash_or_there_is_no_such_page(method: str, about: str) -> None:
    app = create_app(Settings(console_token=SecretStr(PASS)), load_mapping())
    with structlog.testing.capture_logs() as logged:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as http:
            await http.post("/sign-in", data={"token": PASS})
            page = await http.request(method, f"/contact/{about}")
    assert page.status_code == 404
    assert [line for line in logged if line["event"] == "console page"] == []
