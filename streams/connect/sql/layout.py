"""The form of every script: its purpose and caller, a guard for the right database, and batches that may be run again."""

from collections.abc import Iterable
from textwrap import indent

from streams.connect.sql.names import identifier, text
from streams.mapping import Mapping

_CHANGES = """\
-- The DBA reviews and runs it; no program of ours does. It may be run again: steps that are done are skipped.
-- sqlcmd -S <server> -E -b -i {name}.sql
"""

# Without -b: a missing mapped column fails one query, not those after it.
_READS = """\
-- Changes nothing except a temporary table of its own.
-- sqlcmd -S <server> -E -W -i {name}.sql -o {name}.txt
"""


def layout(name: str, mapping: Mapping, about: str, batches: Iterable[str], *, reads: bool = False) -> str:
    """One script: ``about`` as comments, a guard, and ``batches`` separated by GO; ``reads`` when it changes nothing."""
    database = mapping.source.database
    head = f'-- {name}.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.\n'
    how = (_READS if reads else _CHANGES).format(name=name)
    guard = stop_if(
        f"DB_NAME() <> {text(database)}", f"The database {database} does not exist here, or may not be used. Nothing was done."
    )
    parts = [
        head + how + "--\n" + indent(about.strip(), "-- "),
        f"USE {identifier(database)};",
        f"SET NOCOUNT ON;\nSET QUOTED_IDENTIFIER ON;\n{guard}",
        *(batch.strip() for batch in batches),
        "SET NOEXEC OFF;",
    ]
    return "\nGO\n\n".join(parts) + "\nGO\n"


def when(condition: str, *statements: str) -> str:
    """``IF condition`` around whole statements."""
    body = indent("\n".join(statement.strip() for statement in statements), "    ")
    return f"IF {condition}\nBEGIN\n{body}\nEND;"


def stop_if(condition: str, message: str) -> str:
    """Print ``message`` and execute nothing more of the script, in SQL Server Management Studio as in sqlcmd."""
    return when(condition, f"RAISERROR ({text(message)}, 16, 1);", "SET NOEXEC ON;")
