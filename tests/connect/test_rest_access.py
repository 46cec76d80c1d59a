"""Connect's REST API behind TLS and credentials."""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from streams.connect.connect_errors import ConnectRefused, ConnectUnreachable
from streams.connect.rest import ConnectClient
from streams.core.errors import ConfigurationError
from streams.settings import Settings
from testkit.local_services.broker_security import BrokerSecurity

LOGIN = {"connect_user": "bridge", "connect_password": SecretStr("right")}


class Guarded(BaseHTTPRequestHandler):
    """Answers like a worker behind a proxy that asks for credentials."""

    def do_GET(self) -> None:
        welcome = self.headers.get("Authorization") == f"Basic {b64encode(b'bridge:right').decode()}"
        self.send_response(200 if welcome else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing: a test's output is its result."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BrokerSecurity:
    return BrokerSecurity.make(tmp_path_factory.mktemp("made"), "mtls")


@pytest.fixture
def url(files: BrokerSecurity) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Guarded)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.directory / "broker.pem", files.directory / "broker.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def plugins(**values: object) -> list[object]:
    async with ConnectClient.of(Settings.model_validate(values)) as client:
        return list(await client.plugins())


async def test_credentials_and_ca_get_us_in(url: str, files: BrokerSecurity) -> None:
    assert await plugins(connect_url=url, connect_ca=str(files.ca), **LOGIN) == []
    assert await plugins(connect_url=url, connect_ca=files.ca.read_text(), **LOGIN) == []


async def test_a_wrong_password_names_the_settings(url: str, files: BrokerSecurity) -> None:
    wrong = {**LOGIN, "connect_password": SecretStr("a-wrong-one")}
    with pytest.raises(ConnectRefused, match=r"401.*check OWDD_CONNECT_USER and OWDD_CONNECT_PASSWORD") as caught:
        await plugins(connect_url=url, connect_ca=str(files.ca), **wrong)
    assert "a-wrong-one" not in str(caught.value)


async def test_another_ca_is_named(url: str, tmp_path: Path) -> None:
    other = BrokerSecurity.make(tmp_path, "mtls").ca
    with pytest.raises(ConnectUnreachable, match=r"not signed by a CA that we trust.*OWDD_CONNECT_CA"):
        await plugins(connect_url=url, connect_ca=str(other), **LOGIN)


async def test_a_ca_that_is_no_certificate_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="OWDD_CONNECT_CA: not usable"):
        await plugins(connect_url=url, connect_ca="/nowhere/ca.pem", **LOGIN)
