"""Move tables to a new capture instance, after a mapped column was changed or the mapping has grown.

SQL Server allows two instances of a table, so that the connector can read the old one to its end before it takes up the new.
"""

from collections.abc import Collection

from streams.connect.sql.enable import enable_table
from streams.connect.sql.layout import layout, stop_if, when
from streams.connect.sql.names import CapturedTable, captured_tables, text
from streams.core.errors import ConfigurationError
from streams.mapping import Mapping

_ABOUT = """
Moves tables from one capture instance to the next (_v1 to _v2, and so on), with the columns of the mapping as it is now.
Run by: db_owner, twice, with the environment variable OWDD_ROTATE set:
  begin   makes the next instance of every table that has one; a table that has none (the vendor rebuilt it) gets one.
  finish  drops the older of two. Only after the connector has moved: its topic of notifications has "Capture Instance",
          "COMPLETED" for the old one, and "owdd connectors status" shows a position after the new one's start_lsn.
One change at a time: begin skips a table with two instances.
"""


def rotate(mapping: Mapping, tables: Collection[str] = ()) -> str:
    """The script ``rotate.sql``, for ``tables`` of the mapping or for all.

    Raises:
        ConfigurationError: a table that is not captured.
    """
    found = [table for table in captured_tables(mapping) if not tables or table.table in tables]
    if unknown := sorted(set(tables) - {table.table for table in found}):
        raise ConfigurationError(f"tables {unknown} are not in the mapping")
    guards = [
        stop_if("N'$(OWDD_ROTATE)' NOT IN (N'begin', N'finish')", "OWDD_ROTATE is neither begin nor finish. Nothing was done."),
        stop_if("OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NULL", "Run enable.sql first. Nothing was done."),
    ]
    shown = "SELECT capture_instance, start_lsn, create_date FROM cdc.change_tables ORDER BY capture_instance;"
    return layout("rotate", mapping, _ABOUT, [*guards, *(_rotate(table) for table in found), shown])


def _rotate(table: CapturedTable) -> str:
    version = f"TRY_CAST(STUFF(capture_instance, 1, {len(table.stem)}, N'') AS int)"
    begin = when(
        "N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2",
        f"SET @instance = CONCAT({text(table.stem)}, @newest + 1);",
        enable_table(table, "@instance"),
    )
    finish = when(
        "N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2",
        f"SET @instance = CONCAT({text(table.stem)}, @oldest);",
        disable_table(table, "@instance"),
    )
    return (
        "DECLARE @instances int, @oldest int, @newest int, @instance sysname;\n"
        "SELECT @instances = COUNT(*),\n"
        f"    @oldest = MIN({version}),\n"
        f"    @newest = ISNULL(MAX({version}), 0)\n"
        f"FROM cdc.change_tables\nWHERE {table.instances};\n{begin}\n{finish}"
    )


def disable_table(table: CapturedTable, instance: str) -> str:
    """The call that drops a capture instance; ``instance`` is a literal or a variable."""
    return (
        f"EXEC sys.sp_cdc_disable_table @source_schema = {text(table.schema)}, @source_name = {text(table.table)}, "
        f"@capture_instance = {instance};"
    )
