"""The command line: ``owdd``."""

import typer

from streams.cli import config, dotdigital, kafka, topics
from streams.cli.run import run
from streams.cli.sandbox import sandbox

app = typer.Typer(
    help="Orderwise to Dotdigital, change by change.", no_args_is_help=True, pretty_exceptions_show_locals=False
)
app.command()(run)
app.command()(sandbox)
app.add_typer(kafka.app, name="kafka")
app.add_typer(topics.app, name="topics")
app.add_typer(dotdigital.app, name="dotdigital")
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the command line."""
    app()
