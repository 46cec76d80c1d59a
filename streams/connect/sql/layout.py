"""The form of every script: who runs it and how, the right database or nothing, and batches that may be run again."""

from collections.abc import Iterable
from textwrap import indent

from streams.connect.sql.names import identifier, text
from streams.mapping import Mapping

_CHANGES = """\
-- Reviewed and run by the DBA; no program of ours runs it. It may be run again: what is done already is left as it is.
-- sqlcmd -S <server> -E -b -i {name}.sql
"""

# Without -b: a mapped column that is not there fails one question, not those after it.
_READS = """\
-- Changes nothing but a temporary table of its own.
-- sqlcmd -S <server> -E -W -i {name}.sql -o {name}.txt
"""


def layout(name: str, mapping: Mapping, about: str, batches: Iterable[str], *, reads: bool = False) -> str:
    """One script: ``about`` as comments, a guard, and ``batches`` separated by GO; ``reads`` when it changes nothing."""
    database = mapping.source.database
    head = f'-- {name}.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.\n'
    how = (_READS if reads else _CHANGES).format(name=name)
    guard = stop_if(
        f"DB_NAME() <> {text(database)}", f"The database {database} is not here, or may not be used. Nothing was done."
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
    """Say ``message`` and execute nothing more of the script, in SQL Server Management Studio as in sqlcmd."""
    return when(condition, f"RAISERROR ({text(message)}, 16, 1);", "SET NOEXEC ON;")
