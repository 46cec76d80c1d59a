"""``owdd config``: what the settings are, and what they may be."""

from typing import Annotated

import orjson
import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table

from streams.cli.common import guarded, load
from streams.mapping import Mapping
from streams.settings import Settings

app = typer.Typer(help="Settings and mapping.", no_args_is_help=True)


@app.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Print every setting in force, secrets masked, and check the mapping."""
    with guarded():
        settings, _ = load()
    rows = {name: _shown(getattr(settings, name)) for name in Settings.model_fields}
    if as_json:
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("variable", "value", "meaning")
    for name, info in Settings.model_fields.items():
        table.add_row(f"OWDD_{name.upper()}", str(rows[name]), info.description or "")
    Console().print(table)


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    return value if isinstance(value, bool | int | float) else str(value) if value is not None else None


@app.command()
def schema(
    of: Annotated[str, typer.Argument(help="settings or mapping")] = "mapping",
) -> None:
    """Print the JSON schema of the mapping file or of the settings."""
    models: dict[str, type[BaseModel]] = {"settings": Settings, "mapping": Mapping}
    if of not in models:
        raise typer.BadParameter("settings or mapping")
    typer.echo(orjson.dumps(models[of].model_json_schema(), option=orjson.OPT_INDENT_2).decode())
