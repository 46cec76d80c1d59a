"""The names in the DBA's scripts, validated and quoted here and nowhere else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from streams.core.errors import ConfigurationError
from streams.kafka.capture_topics import OUR_TABLES, SCHEMA
from streams.mapping import Mapping

ROLE = "owdd_reader"
"""The gating role of every capture instance; the connector's user is its only member."""

FILEGROUP = "OWDD_CDC"
"""Filegroup of the change tables, apart from the ERP's data."""

_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_$#@]{0,127}")
# SQL Server's limit of the name of a capture instance (``sp_cdc_enable_table``).
_LONGEST_INSTANCE = 100


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A table that CDC captures, with the columns that it captures."""

    schema: str
    table: str
    columns: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Names of its capture instances, up to the version: ``<stem>1`` is the first.

        Versioned from the first day, because a table may have two instances at a time, under different names.
        """
        return f"{self.table}_v" if self.schema != SCHEMA else f"{SCHEMA}_{self.table}_v"

    @property
    def name(self) -> str:
        """The table in brackets, with its schema."""
        return qualified(self.schema, self.table)

    @property
    def key(self) -> str:
        """The mapped key column."""
        return self.columns[0]

    @property
    def instances(self) -> str:
        """Condition on ``cdc.change_tables`` that finds its instances, ours only: others may capture the table too."""
        pattern = re.sub(r"([_\[%])", r"[\1]", self.stem) + "[0-9]%"
        return f"source_object_id = OBJECT_ID({text(self.name)})\n    AND capture_instance LIKE {text(pattern)}"


def mapped_tables(mapping: Mapping) -> list[CapturedTable]:
    """The ERP's tables, as the mapping has them.

    Raises:
        ConfigurationError: a table's name leaves no room for the name of a capture instance.
    """
    tables = [CapturedTable(mapping.source.schema_, table, columns) for table, columns in mapping.columns.items()]
    for table in tables:
        if len(table.stem) + 3 > _LONGEST_INSTANCE:
            raise ConfigurationError(
                f"table {table.table}: the name of a capture instance may have at most {_LONGEST_INSTANCE} characters"
            )
    return tables


def captured_tables(mapping: Mapping) -> list[CapturedTable]:
    """The mapped tables and our own two."""
    return mapped_tables(mapping) + [CapturedTable(SCHEMA, table, columns) for table, columns in OUR_TABLES.items()]


def identifier(name: str) -> str:
    """``name`` in brackets.

    Raises:
        ConfigurationError: ``name`` is not a regular identifier of SQL Server. Others are never needed, and could carry SQL.
    """
    if not _REGULAR.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not a regular SQL Server identifier (letters, digits, _ $ # @; at most 128)")
    return f"[{name}]"


def qualified(*names: str) -> str:
    """Identifiers in brackets, joined by dots."""
    return ".".join(identifier(name) for name in names)


def text(value: str) -> str:
    """``value`` as a Unicode literal."""
    return "N'" + value.replace("'", "''") + "'"


LARGE_MAPPED = (
    "\n    SELECT 1 FROM #mapped AS m\n"
    "    JOIN sys.columns AS c ON c.object_id = OBJECT_ID(m.[table]) AND c.name = m.[column]\n"
    "    WHERE c.max_length = -1 OR TYPE_NAME(c.system_type_id) IN (N'text', N'ntext', N'image')"
)
"""Query of ``#mapped``: rows if a mapped column is of a large type."""

TEXT_REPL_LIMITED = (
    "\n    SELECT 1 FROM sys.configurations\n    WHERE name = N'max text repl size (B)' AND CAST(value_in_use AS bigint) <> -1"
)
"""Query: a row if a large value in a captured column makes the statement that writes it fail."""


def mapped_columns(tables: Iterable[CapturedTable]) -> str:
    """A batch that fills ``#mapped ([table], [column])``, for the batches after it."""
    rows = [f"    ({text(table.name)}, {text(column)})" for table in tables for column in table.columns]
    # Without COLLATE its texts have tempdb's collation, and cannot be compared with the database's.
    return (
        "DROP TABLE IF EXISTS #mapped;\n"
        "CREATE TABLE #mapped (\n"
        "    [table] nvarchar(300) COLLATE DATABASE_DEFAULT NOT NULL,\n"
        "    [column] nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL\n"
        ");\n"
        "INSERT INTO #mapped ([table], [column]) VALUES\n" + ",\n".join(rows) + ";"
    )
