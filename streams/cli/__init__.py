"""The command line: ``owdd``.

Other installed packages add commands through the entry point group ``owdd.commands``: each names a function that takes the
application. The testkit adds ``sandbox``, ``simulate``, ``verify``, ``demo``, ``kafka`` and ``connect`` so.
"""

from importlib.metadata import entry_points

import typer

from streams.cli import config, connectors, dlq, dotdigital, topics
from streams.cli.erase import erase
from streams.cli.run import run

EXTENSIONS = "owdd.commands"
"""The entry point group in which other packages offer commands."""

app = typer.Typer(help="Orderwise to Dotdigital, change by change.", no_args_is_help=True, pretty_exceptions_show_locals=False)
app.command()(erase)
app.command()(run)
app.add_typer(connectors.app, name="connectors")
app.add_typer(topics.app, name="topics")
app.add_typer(dotdigital.app, name="dotdigital")
app.add_typer(dlq.app, name="dlq")
app.add_typer(config.app, name="config")
for extension in entry_points(group=EXTENSIONS):
    extension.load()(app)


def main() -> None:
    """Run the command line."""
    app()
