"""The command line: ``owdd``."""

import typer

from streams.cli import config, connect, connectors, dlq, dotdigital, kafka, topics
from streams.cli.demo import demo, demo_cdc
from streams.cli.erase import erase
from streams.cli.run import run
from streams.cli.sandbox import sandbox
from streams.cli.simulate import simulate
from streams.cli.verify import verify

app = typer.Typer(help="Orderwise to Dotdigital, change by change.", no_args_is_help=True, pretty_exceptions_show_locals=False)
app.command()(demo)
app.command()(demo_cdc)
app.command()(erase)
app.command()(run)
app.command()(sandbox)
app.command()(simulate)
app.command()(verify)
app.add_typer(kafka.app, name="kafka")
app.add_typer(connect.app, name="connect")
app.add_typer(connectors.app, name="connectors")
app.add_typer(topics.app, name="topics")
app.add_typer(dotdigital.app, name="dotdigital")
app.add_typer(dlq.app, name="dlq")
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the command line."""
    app()
