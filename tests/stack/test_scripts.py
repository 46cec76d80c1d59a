"""The stack's scripts: checked by shellcheck; SQL Server's run with a stand-in for sqlcmd, their paths moved into a directory."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stack.conftest import ROOT

# Notes how it was called; fails when asked to.
_STAND_IN = """#!{python}
import json, os, pathlib, sys
with pathlib.Path({calls!r}).open("a") as calls:
    calls.write(json.dumps({{"words": sys.argv[1:], "variables": dict(os.environ)}}) + "\\n")
sys.exit(any(os.environ.get("FAIL_AT", "nothing") in word for word in sys.argv))
"""


@dataclass(frozen=True)
class Container:
    """What the scripts see of the world."""

    root: Path
    secrets: Path

    def run(self, script: str, **variables: str) -> int:
        """Run a script; returns its exit code."""
        for file in (ROOT / "docker" / "sqlserver").glob("*.sh"):
            (self.root / file.name).write_text(self._moved(file.read_text()))
        environment = {"PATH": os.environ["PATH"], **variables}
        return subprocess.run(["bash", self.root / script], env=environment, check=False, capture_output=True).returncode

    @property
    def calls(self) -> list[dict[str, Any]]:
        """How the stand-in was called, first to last."""
        return [json.loads(line) for line in (self.root / "calls").read_text().splitlines()]

    def _moved(self, script: str) -> str:
        places = {
            "/run/secrets": self.secrets,
            "/opt/mssql-tools18/bin/sqlcmd": self.root / "stand-in",
            "/opt/mssql/bin/sqlservr": self.root / "stand-in",
            "source /owdd": f"source {self.root}",
        }
        for old, new in places.items():
            script = script.replace(old, str(new))
        return script


@pytest.fixture
def container(tmp_path: Path, secrets_directory: Path) -> Container:
    program = tmp_path / "stand-in"
    program.write_text(_STAND_IN.format(python=sys.executable, calls=str(tmp_path / "calls")))
    program.chmod(0o700)
    return Container(tmp_path, secrets_directory)


@pytest.mark.parametrize("script", sorted((ROOT / "docker").rglob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    program = Path(sys.executable).with_name("shellcheck")
    options = ["--external-sources", "--source-path=SCRIPTDIR"]
    done = subprocess.run([program, *options, script], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def secret(container: Container, name: str) -> str:
    return (container.secrets / f"owdd_{name}").read_text()


def test_the_database_is_made_before_its_tables_and_captured_before_its_login(container: Container) -> None:
    assert container.run("init.sh") == 0
    run = [(call["words"][call["words"].index("-d") + 1], call["words"][-1]) for call in container.calls]
    assert run == [
        ("master", "/owdd/database.sql"),
        ("Orderwise", "/owdd/orderwise.sql"),
        ("Orderwise", "/capture/enable.sql"),
        ("Orderwise", "/capture/login.sql"),
    ]


def test_a_script_that_fails_ends_the_job(container: Container) -> None:
    assert container.run("init.sh", FAIL_AT="enable.sql") == 1
    assert container.calls[-1]["words"][-1] == "/capture/enable.sql"


def test_passwords_are_variables_and_never_words(container: Container) -> None:
    container.run("init.sh")
    container.run("health.sh")
    secrets = {name: secret(container, name) for name in ("sa_password", "source_password", "orderwise_password")}
    assert not any(value in " ".join(call["words"]) for call in container.calls for value in secrets.values())
    first = container.calls[0]["variables"]
    assert first["SQLCMDPASSWORD"] == secrets["sa_password"]
    assert first["OWDD_SOURCE_PASSWORD"] == secrets["source_password"]
    assert first["OWDD_ORDERWISE_PASSWORD"] == secrets["orderwise_password"]


def test_sql_server_is_healthy_only_if_its_agent_is(container: Container) -> None:
    assert container.run("health.sh") == 0
    assert container.run("health.sh", FAIL_AT="SQL Server Agent") == 1


def test_an_error_in_sql_is_an_exit_code_and_the_server_s_own_certificate_will_do(container: Container) -> None:
    container.run("init.sh")
    assert all({"-C", "-b", "-I"} <= set(call["words"]) for call in container.calls)


def test_sql_server_starts_with_the_administrator_s_password(container: Container) -> None:
    assert container.run("start.sh", ACCEPT_EULA="Y") == 0
    (call,) = container.calls
    assert call["words"] == []
    assert call["variables"]["MSSQL_SA_PASSWORD"] == secret(container, "sa_password")


@pytest.mark.parametrize("variables", [{}, {"ACCEPT_EULA": ""}, {"ACCEPT_EULA": "N"}])
def test_sql_server_does_not_start_before_its_licence_is_accepted(container: Container, variables: dict[str, str]) -> None:
    assert container.run("start.sh", **variables) == 1
    assert not (container.root / "calls").exists()
