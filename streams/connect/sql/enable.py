"""Switch change data capture on: the database, the mapped tables, and our own heartbeat and signal tables."""

from streams.connect.sql.layout import layout, stop_if, when
from streams.connect.sql.names import (
    FILEGROUP,
    LARGE_MAPPED,
    ROLE,
    TEXT_REPL_LIMITED,
    CapturedTable,
    captured_tables,
    identifier,
    mapped_columns,
    mapped_tables,
    qualified,
    text,
)
from streams.kafka.capture_topics import HEARTBEAT, SCHEMA, SIGNAL
from streams.mapping import Mapping

RETENTION_MINUTES = 7 * 24 * 60
"""Retention of the change tables: a connector that stops on a holiday weekend can be repaired without a new snapshot.

Microsoft's default is three days.
"""

_ABOUT = f"""
Enables change data capture for the database and the mapped tables, and makes schema [{SCHEMA}] with two small tables.
Run by: a sysadmin (sp_cdc_enable_db requires it). SQL Server Agent must run. See docs/capture.md for the cost.
Captures the columns of the mapping and no others; keeps changes for {RETENTION_MINUTES // 1440} days.
"""

_HEARTBEAT = f"""\
CREATE TABLE {qualified(SCHEMA, HEARTBEAT)} (
    [id] int NOT NULL CONSTRAINT [pk_{SCHEMA}_{HEARTBEAT}] PRIMARY KEY,
    [beat] datetime2(3) NOT NULL
);"""

_SIGNAL = f"""\
CREATE TABLE {qualified(SCHEMA, SIGNAL)} (
    [id] varchar(42) NOT NULL CONSTRAINT [pk_{SCHEMA}_{SIGNAL}] PRIMARY KEY,
    [type] varchar(32) NOT NULL,
    [data] varchar(2048) NULL
);"""

# Microsoft's defaults, stated so that the script can compare. A changed value needs a restart of the capture job.
_CAPTURE_JOB = {"pollinginterval": 5, "maxtrans": 500, "maxscans": 10}
_CLEANUP_JOB = {"retention": RETENTION_MINUTES, "threshold": 5000}


def enable(mapping: Mapping) -> str:
    """The script ``enable.sql``."""
    database = identifier(mapping.source.database)
    batches = [
        stop_if(
            "CAST(SERVERPROPERTY('EngineEdition') AS int) = 4", "Express edition has no change data capture. Nothing was done."
        ),
        mapped_columns(mapped_tables(mapping)),
        _columns_exist(),
        "-- A longer text in a captured column would make the write of the ERP itself fail.\n"
        + stop_if(
            f"EXISTS ({LARGE_MAPPED}) AND EXISTS ({TEXT_REPL_LIMITED})",
            "A mapped column is large: first EXEC sp_configure 'max text repl size', -1; RECONFIGURE. Nothing was done.",
        ),
        when(
            "NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)",
            "EXEC sys.sp_cdc_enable_db;",
        ),
        when(
            "NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND snapshot_isolation_state = 1)",
            "-- The connector's first read then takes no locks; row versions live in tempdb while it lasts.",
            f"ALTER DATABASE {database} SET ALLOW_SNAPSHOT_ISOLATION ON;",
        ),
        when(
            f"FILEGROUP_ID({text(FILEGROUP)}) IS NULL",
            f"ALTER DATABASE {database} ADD FILEGROUP {identifier(FILEGROUP)};",
        ),
        _file(database),
        when(
            f"DATABASE_PRINCIPAL_ID({text(ROLE)}) IS NULL",
            f"CREATE ROLE {identifier(ROLE)} AUTHORIZATION [dbo];",
        ),
        when(
            f"SCHEMA_ID({text(SCHEMA)}) IS NULL",
            f"EXEC sys.sp_executesql @stmt = N'CREATE SCHEMA {identifier(SCHEMA)} AUTHORIZATION [dbo]';",
        ),
        _own_table(HEARTBEAT, _HEARTBEAT) + "\n" + _first_beat(),
        _own_table(SIGNAL, _SIGNAL),
        *(_capture(table) for table in captured_tables(mapping)),
        _first_commit(),
        _job("cleanup", _CLEANUP_JOB),
        _job("capture", _CAPTURE_JOB),
        "EXEC sys.sp_cdc_help_change_data_capture;\nEXEC sys.sp_cdc_help_jobs;",
    ]
    return layout("enable", mapping, _ABOUT, batches)


def enable_table(table: CapturedTable, instance: str) -> str:
    """The call that makes a capture instance; ``instance`` is a literal or a variable."""
    return (
        f"EXEC sys.sp_cdc_enable_table @source_schema = {text(table.schema)}, @source_name = {text(table.table)},\n"
        f"    @capture_instance = {instance}, @role_name = {text(ROLE)}, @supports_net_changes = 0,\n"
        # By default a partition may be switched out or in, and CDC captures nothing of its rows.
        f"    @allow_partition_switch = 0,\n"
        f"    @filegroup_name = {text(FILEGROUP)},\n"
        f"    @captured_column_list = {text(', '.join(map(identifier, table.columns)))};"
    )


def _columns_exist() -> str:
    missing = "FROM #mapped WHERE COL_LENGTH([table], [column]) IS NULL"
    return when(
        f"EXISTS (SELECT 1 {missing})",
        f"SELECT [table], [column] AS [mapped, but not in the database] {missing};",
        "RAISERROR (N'The mapping names columns that are not here; they are listed. Nothing was done.', 16, 1);",
        "SET NOEXEC ON;",
    )


def _file(database: str) -> str:
    # The server's default path. A DBA who prefers another disk adds a file to the filegroup first, and this step is skipped.
    head = text(f"ALTER DATABASE {database} ADD FILE (NAME = owdd_cdc, FILENAME = '")
    tail = text(f"_owdd_cdc.ndf', SIZE = 256MB, FILEGROWTH = 256MB) TO FILEGROUP {identifier(FILEGROUP)}")
    return when(
        f"FILEGROUP_ID({text(FILEGROUP)}) NOT IN (SELECT data_space_id FROM sys.database_files)",
        "DECLARE @folder nvarchar(260) = CAST(SERVERPROPERTY('InstanceDefaultDataPath') AS nvarchar(260));",
        f"DECLARE @add nvarchar(max) = {head}\n    + REPLACE(@folder + DB_NAME(), N'''', N'''''')\n    + {tail};",
        "EXEC (@add);",
    )


def _own_table(table: str, create: str) -> str:
    return when(f"OBJECT_ID({text(qualified(SCHEMA, table))}, N'U') IS NULL", create)


def _first_beat() -> str:
    name = qualified(SCHEMA, HEARTBEAT)
    return when(
        f"NOT EXISTS (SELECT 1 FROM {name} WHERE [id] = 1)",
        f"INSERT INTO {name} ([id], [beat]) VALUES (1, SYSUTCDATETIME());",
    )


def _first_commit() -> str:
    """A commit for CDC to capture: a snapshot that begins before the first one has no position in the log."""
    return (
        "-- The first commit that CDC captures. Start the connector when preflight.sql shows it, some seconds later.\n"
        f"UPDATE {qualified(SCHEMA, HEARTBEAT)} SET [beat] = SYSUTCDATETIME() WHERE [id] = 1;"
    )


def _capture(table: CapturedTable) -> str:
    return when(
        f"NOT EXISTS (\n    SELECT 1 FROM cdc.change_tables\n    WHERE {table.instances}\n)",
        enable_table(table, text(f"{table.stem}1")),
    )


def _job(kind: str, values: dict[str, int]) -> str:
    differs = " OR ".join(f"{name} <> {value}" for name, value in values.items())
    wanted = ", ".join(f"@{name} = {value}" for name, value in values.items())
    change = [f"EXEC sys.sp_cdc_change_job @job_type = {text(kind)}, {wanted};"]
    if kind == "capture":
        change += [f"EXEC sys.sp_cdc_{verb}_job @job_type = {text(kind)};" for verb in ("stop", "start")]
    return when(
        "EXISTS (\n    SELECT 1 FROM msdb.dbo.cdc_jobs\n"
        f"    WHERE database_id = DB_ID() AND job_type = {text(kind)} AND ({differs})\n)",
        *change,
    )
