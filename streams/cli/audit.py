"""``owdd audit``: the systems audit of the ERP's data."""

import asyncio
import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.output import AsJson
from streams.core.clock import SystemClock
from streams.core.errors import OwddError
from streams.core.files import write_private
from streams.mapping import Mapping
from streams.messages.dead_letters import keyed_hash
from streams.operations.systems_audit.database import audit_database
from streams.operations.systems_audit.findings import Audit, AuditReport
from streams.operations.systems_audit.gather import TableFacts, gather
from streams.operations.systems_audit.page import audit_page
from streams.settings import Settings

_NAMES_PEOPLE = frozenset({"duplicate_address", "duplicate_name", "shared_address", "placeholder_address", "relay_address"})


def audit(
    html: Annotated[Path | None, typer.Option("--html", dir_okay=False, help="Write the report, one HTML file, here.")] = None,
    offenders: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write every row with a defect here, as CSV.")
    ] = None,
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Addresses and names in the CSV file, not their keyed hashes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong in the ERP's data, in the captured topics alone.

    Workers may run; nothing is changed.
    """
    settings, mapping = load()
    hash_key = settings.hash_key.get_secret_value().encode()
    with audit_database(mapping) as database:
        tables = asyncio.run(_gathered(settings, mapping, database))
        asked = Audit(settings, mapping, database)
        report = asked.report(tables)
        if offenders is not None:
            _write(offenders, offenders_as_csv(asked, None if show_personal_data else hash_key))
    if html is not None:
        _write(html, audit_page(report, mapping.source.topic_prefix, SystemClock().now_ms()))
    if as_json:
        output.print_json(_facts(report))
        return
    rows = [(item.rule.code, item.rule.title, item.rule.severity, f"{item.count:,}") for item in report.defects if item.count]
    output.print_table(("defect", "what it is", "severity", "rows"), rows)


async def _gathered(settings: Settings, mapping: Mapping, database: Any) -> list[TableFacts]:
    with output.reading("captured records") as shown:
        return await gather(settings, mapping, database, shown)


def offenders_as_csv(asked: Audit, hash_key: bytes | None) -> str:
    """Every row with a defect; people by keyed hashes, unless there is no ``hash_key``."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("defect", "row", "id", "name"))
    for item in asked.offenders():
        hidden = hash_key is not None and item.code in _NAMES_PEOPLE and item.name
        name = keyed_hash(item.name.encode(), hash_key or b"") if hidden else item.name
        # A spreadsheet takes text that begins so for a formula, and people type what they like.
        writer.writerow((item.code, item.role, item.id, f"'{name}" if name[:1] in ("=", "+", "-", "@") else name))
    return text.getvalue()


def _write(file: Path, text: str) -> None:
    try:
        write_private(file, text.encode())
    except OSError as error:
        raise OwddError(f"{file} cannot be written: {type(error).__name__}") from None


def _facts(report: AuditReport) -> dict[str, Any]:
    return {
        "counts": report.counts,
        "defects": {item.rule.code: item.count for item in report.defects},
        "words": {item.rule.code: dict(item.words) for item in report.defects if item.words},
        "effect": asdict(report.effect),
        "consents": dict(report.consents),
        "tables": {
            facts.table: {
                "rows": facts.rows,
                "records": facts.records,
                "newest": facts.newest,
                "unreadable": dict(facts.unreadable),
            }
            for facts in report.tables
        },
    }
