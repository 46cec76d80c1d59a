"""The commands that the testkit adds to ``owdd``, by the entry point group ``owdd.commands``."""

import typer

from testkit.cli import connect, kafka
from testkit.cli.demo import demo, demo_cdc
from testkit.cli.sandbox import sandbox
from testkit.cli.simulate import simulate
from testkit.cli.verify import verify


def register(app: typer.Typer) -> None:
    """Add the testkit's commands to ``app``."""
    for command in (demo, demo_cdc, sandbox, simulate, verify):
        app.command()(command)
    app.add_typer(kafka.app, name="kafka")
    app.add_typer(connect.app, name="connect")
