"""The reference of commands is the commands themselves; a shell completes them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli import OWN
from streams.cli.exit_codes import ExitCode
from streams.cli.reference import commands_page, every

PAGE = Path("docs/cli.md")


COMMANDS = dict(every(OWN))


def test_the_page_is_that_of_the_commands() -> None:
    assert PAGE.read_text() == commands_page(OWN), "run make docs"


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_and_each_of_its_options_is_explained(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert f"`{path}`" in PAGE.read_text()
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name}"


def test_every_exit_code_is_on_the_page_under_its_name() -> None:
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert dict(listed) == {str(code.value): code.name for code in ExitCode}


@pytest.mark.parametrize(
    ("typed", "completed"), [("owdd repl", "replay"), ("owdd replay rec", "records"), ("owdd lag --wat", "--watch")]
)
def test_a_shell_completes_commands_and_options(typed: str, completed: str) -> None:
    asked = {"_OWDD_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    program = Path(sys.executable).parent / "owdd"
    done = subprocess.run([program], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert completed in done.stdout.split()
