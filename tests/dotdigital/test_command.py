"""``owdd dotdigital plan|apply``: what it prints, what it changes, and its exit codes."""

from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest
from typer.testing import CliRunner, Result

from streams.cli import dotdigital
from streams.cli.exit_codes import ExitCode
from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.codes import CODES
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import PASSWORD, USER


@pytest.fixture(autouse=True)
def account(box: SandboxApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's settings and network lead to the sandbox."""
    for name, value in {"URL": "http://sandbox", "USER": USER, "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"OWDD_DOTDIGITAL_{name}", value)
    monkeypatch.setattr(dotdigital, "DotdigitalClient", partial(DotdigitalClient, transport=httpx.ASGITransport(box)))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(dotdigital.app, list(arguments))


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_is_missing_is_shown_and_not_created(box: SandboxApp, command: str) -> None:
    result = run(command)
    assert result.exit_code == 2 and "OW_TOTAL_SPEND" in result.stdout and "OW recent buyers" in result.stdout
    assert box.store.fields.find("OW_TOTAL_SPEND") is None


def test_executed_once_there_is_nothing_left_to_do(box: SandboxApp) -> None:
    assert run("apply", "--execute").exit_code == 0
    assert box.store.fields.find("OW_TOTAL_SPEND") is not None
    assert run("plan").exit_code == 0


def test_as_json_it_can_be_read_by_programs() -> None:
    result = run("plan", "--json")
    steps = orjson.loads(result.stdout)
    assert {
        "kind": "collection",
        "name": "Orders",
        "wanted": "orders",
        "action": "create",
        "found": None,
        "number": None,
    } in steps


def test_a_clash_is_reported_and_nothing_is_created(box: SandboxApp) -> None:
    box.store.fields.define("OW_TOTAL_SPEND", "String")
    result = run("apply", "--execute")
    assert result.exit_code == ExitCode.REFUSED
    assert "data field 'OW_TOTAL_SPEND': String, not Numeric" in result.stderr and "mapping.yaml" in result.stderr
    assert box.store.fields.find("OW_AOV") is None


@pytest.mark.parametrize(("fault", "word"), [("unauthorized", "OWDD_DOTDIGITAL_PASSWORD"), ("wrong_region", "r2-api")])
def test_who_is_not_let_in_gets_a_reason(box: SandboxApp, fault: str, word: str) -> None:
    box.faults.update({fault: True})
    result = run("plan")
    assert result.exit_code == 1 and word in result.stderr


def test_blanks_around_the_credentials_are_reported_beside_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWDD_DOTDIGITAL_PASSWORD", f"{PASSWORD} ")
    result = run("plan", "--json")
    assert "blanks around OWDD_DOTDIGITAL_PASSWORD" in result.stderr
    assert orjson.loads(result.stdout) and PASSWORD not in result.output


def test_the_page_of_codes_is_current_and_complete() -> None:
    page = run("codes").stdout
    assert page == Path("docs/dotdigital-codes.md").read_text(), "run 'make docs'"
    assert page.count("\n| `") == len(CODES)
