"""``owdd --help`` imports nothing that it does not need, and lists what the commands themselves say."""

import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.groups import LazyCommand

HEAVY = ("aiokafka", "faust", "httpx", "starlette", "uvicorn", "pydantic", "pydantic_settings", "yaml", "psycopg", "pymssql")
PROBE = """
import sys
from streams.cli import app
try:
    app([{arguments}])
except SystemExit:
    pass
print("loaded:", *sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
print("ours:", *sorted(name for name in sys.modules if name.startswith(("streams.", "testkit."))), file=sys.stderr)
"""


def loaded(*arguments: str) -> str:
    probe = PROBE.format(arguments=", ".join(map(repr, arguments)))
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=dict(os.environ))
    return done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ()])
def test_help_and_version_import_no_heavy_module(arguments: tuple[str, ...]) -> None:
    found = loaded(*arguments)
    assert "typer" in found
    assert not set(HEAVY) & set(found.split())
    assert not [name for name in found.split() if name.startswith(("streams.settings", "streams.worker", "testkit.sandbox"))]


def test_showing_settings_needs_neither_kafka_nor_the_workers() -> None:
    found = set(loaded("config", "show").split())
    assert "pydantic" in found
    assert not {"aiokafka", "faust", "httpx", "starlette", "uvicorn", "streams.worker"} & found


COMMANDS = dict(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_their_own_words(name: str) -> None:
    stand_in = COMMANDS[name]
    assert isinstance(stand_in, LazyCommand)
    command = stand_in.load()
    assert command.help.split("\n\n")[0].replace("\n", " ") == stand_in.help
    assert command.name == name


def test_a_command_that_is_not_there_is_named_with_the_nearest() -> None:
    result = CliRunner().invoke(app, ["dql"])
    assert (result.exit_code, "Did you mean 'dlq'" in result.stderr) == (3, True)


def test_typer_keeps_what_the_error_contract_hangs_on() -> None:
    assert typer.BadParameter.__bases__[0].__name__ == "UsageError"
