"""``owdd person``: what we hold of one person."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streams.capture.addresses import address_field
from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.groups import command_group
from streams.cli.output import AsJson
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.core.files import write_private
from streams.domain.digester import Digester
from streams.kafka.producer import BatchProducer
from streams.mapping import Mapping
from streams.messages.audit import PersonExported
from streams.messages.audit_log import AuditLog
from streams.operations.person_export import PersonExport, Progress
from streams.operations.site_setup import check_erasure_key
from streams.settings import Settings

app = command_group("The data that we hold of one person.")


@app.callback()
def _group() -> None:
    """The data that we hold of one person."""


@app.command()
def export(
    email: Annotated[str, typer.Argument(help="The e-mail address of the person.")],
    file: Annotated[Path, typer.Option(help="The new file to write; only you may read it.", dir_okay=False)],
    operator: Annotated[str | None, typer.Option(help="Your name, for the audit topic. Default: the system's user.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that state and topics hold of a person into a file, as JSON, for a subject-access request.

    It reads all topics, and takes its time; workers may run. It is an entry of the audit topic, which names nobody but you.
    """
    settings, mapping = load()
    found = address_field(email, "e-mail").found
    if len(found) != 1:
        raise ConfigurationError("is not one e-mail address", where="EMAIL", remedy="Give one address")
    with output.progress("reading") as progress:
        parts = asyncio.run(_export(settings, mapping, found[0], operator_name(operator), progress))
    try:
        write_private(file, orjson.dumps(parts, default=str, option=orjson.OPT_INDENT_2) + b"\n", new=True)
    except OSError as error:
        remedy = "Name a new file"
        raise ConfigurationError(f"cannot be written: {error.strerror}", where=str(file), remedy=remedy) from None
    counts = {name: len(part) if isinstance(part, list) else sum(map(len, part.values())) for name, part in parts.items()}
    if as_json:
        output.print_json(counts)
    else:
        output.print_table(("part", "entries"), counts.items())


async def _export(settings: Settings, mapping: Mapping, email: str, by: str, progress: Progress) -> dict[str, Any]:
    # With another key the entry would name nobody, and no erasure would be found.
    await check_erasure_key(settings)
    digest = Digester(*settings.erasure_keys)(email).hex()
    async with BatchProducer(settings) as producer:
        # First of all: nobody sees the data without a trace.
        entry = PersonExported(SystemClock().now_ms(), by, digest)
        await AuditLog.of(settings, producer).write(entry, digest.encode())
    return await PersonExport(settings, mapping, email, progress).collect()
