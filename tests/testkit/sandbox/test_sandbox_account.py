"""Credentials and the v2 account calls."""

from __future__ import annotations

import base64
from datetime import datetime

import httpx
import pytest

from testkit.sandbox import SandboxConfig
from testkit.sandbox.auth import BasicAuth

V2_DENIED = {"message": "Authorization has been denied for this request."}


@pytest.mark.asyncio
class TestCredentials:
    @pytest.mark.parametrize("path", ["/v2/account-info", "/v2/data-fields", "/v2/server-time", "/v2/nothing"])
    async def test_v2_denies_in_its_own_words(self, api: httpx.AsyncClient, path: str) -> None:
        reply = await api.get(path, auth=("sandbox@apiconnector.example", "wrong"))
        assert (reply.status_code, reply.json()) == (401, V2_DENIED)

    async def test_v3_denies_with_an_error_code(self, api: httpx.AsyncClient) -> None:
        reply = await api.get("/contacts/v3", auth=("nobody", "a-password-1"))
        assert (reply.status_code, reply.json()["errorCode"]) == (401, "server:unauthorized")
        assert reply.headers["content-type"] == "application/json; charset=utf-8"


def test_only_the_exact_credentials_pass() -> None:
    auth = BasicAuth("user", "pass:word")
    token = base64.b64encode(b"user:pass:word")
    assert auth.accepts(b"Basic " + token)
    assert auth.accepts(b"basic  " + token)
    for header in (None, b"", b"Basic", b"Basic ***", b"Bearer " + token, b"Basic " + base64.b64encode(b"user:other")):
        assert not auth.accepts(header)


def test_the_configuration_trims_hides_and_demands_credentials() -> None:
    config = SandboxConfig(" user ", "secret-1 ")
    assert (config.user, config.password) == ("user", "secret-1")
    assert "secret-1" not in repr(config)
    with pytest.raises(ValueError, match="password"):
        SandboxConfig("user", "  ")


@pytest.mark.asyncio
async def test_account_information_is_all_strings_and_names_the_endpoint(api: httpx.AsyncClient) -> None:
    await api.get("/contacts/v3")
    info = (await api.get("/v2/account-info")).json()
    values = {row["name"]: row["value"] for row in info["properties"]}
    assert info["id"] == 1
    assert all(isinstance(value, str) for value in values.values())
    assert values["ApiEndpoint"] == "http://sandbox/"
    assert (values["ApiCallsInLastHour"], values["ApiCallsRemaining"]) == ("1", "1999")


@pytest.mark.asyncio
async def test_server_time_is_plain_text(api: httpx.AsyncClient) -> None:
    reply = await api.get("/v2/server-time")
    assert reply.headers["content-type"].startswith("text/plain")
    assert datetime.fromisoformat(reply.text).isoformat() == "2025-03-01T09:30:00+00:00"
