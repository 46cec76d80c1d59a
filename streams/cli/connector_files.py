"""``owdd connectors render`` and ``sql``: the connector's configuration and the DBA's scripts, from the mapping.

Both print, or write files with ``--out``; with ``--check`` they only compare, and end with exit code 2 if a file is
missing or out of date. Neither needs a server. Exit codes: :class:`ExitCode`.
"""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.connect.files import Rendered, configuration_file, script_files
from streams.connect.sql import script
from streams.core.errors import ConfigurationError
from streams.settings import SourceKind

_Out = Annotated[Path | None, typer.Option("--out", file_okay=False, help="Write into this directory instead of printing.")]
_Check = Annotated[
    bool, typer.Option("--check", help="Write nothing: compare with the files in --out. Exit code 2: out of date.")
]


def render(
    kind: Annotated[
        SourceKind | None, typer.Option("--kind", help="Kind of the source database; default: OWDD_SOURCE_KIND.")
    ] = None,
    out: _Out = None,
    check: _Check = False,
    as_json: AsJson = False,
) -> None:
    """Render the connector's configuration from the mapping. Passwords remain references."""
    settings, mapping = load()
    file = configuration_file(mapping, kind or settings.source_kind, settings)
    _hand_out([file], out, check, as_json)


def sql(
    script_name: Annotated[
        str | None, typer.Option("--script", help="One of discovery, preflight, enable, login, rotate, disable; default: all.")
    ] = None,
    table: Annotated[list[str] | None, typer.Option("--table", help="Only for rotate: this table; may be repeated.")] = None,
    out: _Out = None,
    check: _Check = False,
    as_json: AsJson = False,
) -> None:
    """Write the SQL scripts that a DBA reviews and runs. This product never runs them."""
    settings, mapping = load()
    if script_name is None and table:
        raise ConfigurationError("--table can be used with --script rotate only")
    if script_name is None:
        files = script_files(mapping, settings)
    else:
        files = [Rendered(f"{script_name}.sql", script(script_name, mapping, settings, table or ()))]
    _hand_out(files, out, check, as_json)


def _hand_out(files: list[Rendered], out: Path | None, check: bool, as_json: bool) -> None:
    if check and out is None:
        raise ConfigurationError("--check needs --out, the directory to compare with")
    if out is None:
        if as_json:
            output.print_json({file.name: file.text for file in files})
        else:
            output.raw("\n".join(file.text for file in files))
        return
    stale = [file for file in files if not file.is_current(out)]
    if not check:
        for file in stale:
            file.write(out)
    done = {file.name: ("stale" if check else "written") if file in stale else "current" for file in files}
    if as_json:
        output.print_json(done)
    else:
        for name, state in done.items():
            output.line(f"{out / name}: {state}")
    if check and stale:
        raise typer.Exit(ExitCode.CHANGES)
