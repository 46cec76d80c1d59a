"""The sandbox as a process: what only a real server and a real connection can show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from testkit.sandbox import snapshot
from testkit.sandbox.config import SandboxConfig
from testkit.sandbox.store import Store
from tests.patience import PATIENCE

PASSWORD = "a-password-1"
ANN = "/contacts/v3/email/ann%40example.com"
BODY = {"identifiers": {"email": "ann@example.com"}, "dataFields": {"FIRSTNAME": "Ann"}}

Run = Callable[..., AbstractContextManager[httpx.Client]]


def until_listening(process: subprocess.Popen[str]) -> None:
    """Return once the server has printed where it listens; its file is written by then."""
    assert process.stdout is not None
    assert process.stdout.readline(), process.communicate()[1]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Starts the command, hands out a client, and stops it in an orderly way; the state directory is kept."""

    @contextmanager
    def running(*more: str) -> Iterator[httpx.Client]:
        port_file = tmp_path / "url"
        port_file.unlink(missing_ok=True)
        options = ["--user", "robot", "--port", "0", "--port-file", str(port_file), "--state-dir", str(tmp_path / "state")]
        process = subprocess.Popen(
            [sys.executable, "-m", "streams", "sandbox", *options, *more],
            env=os.environ | {"OWDD_DOTDIGITAL_PASSWORD": PASSWORD},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until_listening(process)
            with httpx.Client(base_url=port_file.read_text().strip(), auth=("robot", PASSWORD)) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            _, complaints = process.communicate(timeout=PATIENCE)
        assert complaints == ""

    return running


def test_replies_are_lost_calls_hang_and_the_account_outlives_the_process(run: Run) -> None:
    with run() as api:
        api.post("/_sandbox/faults", json={"next": ["lost_reply"]})
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            api.patch(ANN, json=BODY)
        again = api.patch(ANN, json=BODY)
        assert (again.status_code, again.json()["dataFields"]) == (200, {"FIRSTNAME": "Ann"})

        api.post("/_sandbox/faults", json={"next": ["hang"], "hang_seconds": 3600, "hang": 0})
        with pytest.raises(httpx.ReadTimeout):
            api.patch(ANN, json=BODY, timeout=0.1)
        assert api.get("/v2/account-info").status_code == 200

        endpoint = next(
            row["value"] for row in api.get("/v2/account-info").json()["properties"] if row["name"] == "ApiEndpoint"
        )
        assert endpoint == f"{str(api.base_url).rstrip('/')}/"
        assert api.post("/v2/data-fields", json={"name": "OW_X", "type": "Numeric"}).status_code == 201
    with run() as api:
        kept = api.get(ANN).json()
        assert (kept["contactId"], kept["dataFields"]) == (again.json()["contactId"], {"FIRSTNAME": "Ann"})
        assert api.post("/v2/data-fields", json={"name": "OW_X", "type": "Numeric"}).status_code == 400


def test_an_account_is_set_up_from_a_file(tmp_path: Path, run: Run) -> None:
    (tmp_path / "account.yaml").write_text("lists: {7: Recent buyers}\nfaults: {next: [http_503]}\n")
    with run("--config", str(tmp_path / "account.yaml")) as api:
        assert [api.get("/v2/address-books").status_code for _ in range(2)] == [503, 200]
        assert api.get("/v2/address-books").json()[0]["name"] == "Recent buyers"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("boom: 1", "boom: Unexpected keyword argument"),
        ("lists: 3", "lists: Input should be a valid dictionary"),
        ("password: x", "password does not belong into the file"),
        ("- 1", "must hold a mapping"),
        ("{", "cannot be read"),
        ("faults: {boom: 1}", "boom is not a fault"),
        ("tiers: {boom: 1}", "boom is not a budget"),
        ("programs: {1: Ready}", "the status of a program must be one of"),
        ("data_fields: {OW_X: Money}", "ERROR_DATAFIELD_INVALID"),
    ],
)
def test_a_wrong_file_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    monkeypatch.setenv("OWDD_DOTDIGITAL_PASSWORD", PASSWORD)
    (tmp_path / "account.yaml").write_text(text)
    result = CliRunner().invoke(app, ["sandbox", "--config", str(tmp_path / "account.yaml")])
    assert result.exit_code == ExitCode.INVALID
    assert complaint in result.output
    assert PASSWORD not in result.output


def test_the_password_never_comes_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OWDD_DOTDIGITAL_PASSWORD", raising=False)
    result = CliRunner().invoke(app, ["sandbox"])
    assert result.exit_code == ExitCode.INVALID
    assert "OWDD_DOTDIGITAL_PASSWORD" in result.output
    assert "--password" not in CliRunner().invoke(app, ["sandbox", "--help"]).output


def test_a_saved_account_is_restored_whole(tmp_path: Path) -> None:
    config = SandboxConfig("user", "password", data_fields={"OW_SPEND": "Numeric"})
    store, other = Store(config), Store(config)
    contact = store.create({"email": "ann@example.com", "mobileNumber": "447123123123"})
    contact.data["OW_SPEND"] = 12.5
    contact.preferences[3] = True
    store.bin(store.create({"email": "bob@example.com"}))
    store.fields.define("OW_X", "Date")
    snapshot.save(store, tmp_path)
    snapshot.load(other, tmp_path)
    assert list(other) == list(store)
    assert [made.name for made in other.fields] == [made.name for made in store.fields]
    assert other.find("mobileNumber", "447123123123") == contact
    assert other.next_id == store.next_id
