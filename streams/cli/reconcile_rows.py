"""``owdd reconcile --rows``: captured rows against what the newest snapshots showed."""

import asyncio
from typing import Any

import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.core.errors import RefusedError
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import committed_reader
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.messages.dead_letters import keyed_hash
from streams.operations.maintenance import record_maintenance
from streams.operations.missed_deletes import MissedDeletes, TableComparison
from streams.settings import Settings

_MOST_EXAMPLES = 20


def reconcile_rows(
    settings: Settings, mapping: Mapping, *, execute: bool, operator: str, personal: bool, as_json: bool
) -> None:
    """Compare, print, and with ``execute`` write the deletions.

    Raises:
        RefusedError: nothing can be concluded about any table.
        typer.Exit: rows were missed, and ``execute`` was not given.
    """
    tables, examples = asyncio.run(_compare(settings, mapping, execute=execute, operator=operator, personal=personal))
    facts = [_facts(table) for table in tables]
    if as_json:
        output.print_json({"tables": facts, "examples": examples})
    else:
        columns = ("topic", "snapshot", "shown", "deleted", "withdrawn", "reason")
        output.print_table(columns, [tuple(fact[name] for name in columns) for fact in facts])
        output.print_table(("record", "row"), [tuple(example.values()) for example in examples], title="Examples")
    if all(table.reason for table in tables):
        remedy = "Read the tables again: 'owdd connectors snapshot TABLE... --execute'. Notifications of it stay for a week"
        raise RefusedError("no table can be compared", remedy=remedy)
    if any(table.rows for table in tables) and not execute:
        if not as_json:
            output.line("Nothing was done. Add --execute to have what follows from these rows withdrawn, through the brake.")
        raise typer.Exit(ExitCode.CHANGES)


async def _compare(
    settings: Settings, mapping: Mapping, *, execute: bool, operator: str, personal: bool
) -> tuple[list[TableComparison], list[dict[str, Any]]]:
    hash_key = settings.hash_key.get_secret_value().encode()
    tables, examples = list[TableComparison](), list[dict[str, Any]]()
    async with committed_reader(KafkaConfig.of(settings)) as consumer, BatchProducer(settings) as producer:
        rows = MissedDeletes(settings, mapping, consumer)
        with output.progress("reading the captured topics") as shown:
            async for table in rows.compare():
                shown(f"{table.topic}: compared")
                tables.append(table)
        if execute and any(table.rows for table in tables):
            await record_maintenance(settings, "withdraw rows", operator, SystemClock())
        for table in tables:
            examples += await _examples(rows, table, _MOST_EXAMPLES - len(examples), None if personal else hash_key)
            if execute and table.rows:
                await rows.withdraw(table, producer, SystemClock())
    return tables, examples


async def _examples(rows: MissedDeletes, table: TableComparison, most: int, hash_key: bytes | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for place, missed in table.missed.items() if table.rows else ():
        some = type(missed)(missed.offsets[: max(0, most - len(found))], missed.until)
        async for record in rows.records(place, some):
            key = record.key.decode(errors="backslashreplace") if hash_key is None else keyed_hash(record.key, hash_key)
            found.append({"place": f"{record.topic}/{record.partition}@{record.offset}", "row": key})
    return found


def _facts(table: TableComparison) -> dict[str, Any]:
    return {
        "topic": table.topic,
        "snapshot": None if table.read is None else shown_time(table.read.began),
        "shown": table.shown,
        "deleted": table.rows,
        "withdrawn": table.withdrawn,
        "reason": table.reason,
    }
