"""The reverse of ``enable.sql`` and ``login.sql``."""

from streams.connect.sql.layout import layout, stop_if, when
from streams.connect.sql.names import FILEGROUP, ROLE, CapturedTable, captured_tables, identifier, qualified, text
from streams.connect.sql.rotate import disable_table
from streams.kafka.capture_topics import HEARTBEAT, SCHEMA, SIGNAL
from streams.mapping import Mapping
from streams.settings import Settings

_ABOUT = f"""
Removes everything that enable.sql and login.sql made. Stop and delete the connector first. Its unread changes are lost.
Run by: a sysadmin. To come back: enable.sql, login.sql and a new snapshot. Schema [{SCHEMA}] is dropped, with its two tables.
Change data capture stays on for the database while others have capture instances. ALLOW_SNAPSHOT_ISOLATION stays on:
others may use it by now. To switch it off as well: ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION OFF.
"""


def disable(mapping: Mapping, settings: Settings) -> str:
    """The script ``disable.sql``."""
    database, user, role = identifier(mapping.source.database), identifier(settings.source_user), identifier(ROLE)
    login = text(settings.source_user)
    batches = [
        stop_if(
            f"EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE login_name = {login})",
            "The connector is still connected. Stop it first. Nothing was done.",
        ),
        *(_drop_instances(table) for table in captured_tables(mapping)),
        when(
            "EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)",
            when("NOT EXISTS (SELECT 1 FROM cdc.change_tables)", "EXEC sys.sp_cdc_disable_db;"),
        ),
        "\n".join(f"DROP TABLE IF EXISTS {qualified(SCHEMA, table)};" for table in (SIGNAL, HEARTBEAT))
        + f"\nDROP SCHEMA IF EXISTS {identifier(SCHEMA)};",
        f"DROP USER IF EXISTS {user};\nDROP ROLE IF EXISTS {role};",
        when(f"SUSER_ID({login}) IS NOT NULL", f"DROP LOGIN {user};"),
        _drop_files(database),
    ]
    return layout("disable", mapping, _ABOUT, batches)


def _drop_instances(table: CapturedTable) -> str:
    # A table has at most two instances. A loop would never end if one of them cannot be dropped.
    return when(
        "OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL",
        "DECLARE @first sysname, @last sysname;",
        "SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)\n"
        f"FROM cdc.change_tables\nWHERE {table.instances};",
        when("@first IS NOT NULL", disable_table(table, "@first")),
        when("@last <> @first", disable_table(table, "@last")),
    )


def _drop_files(database: str) -> str:
    # If the DBA added another file to the filegroup, the DBA removes that file and the filegroup.
    file = when("FILE_ID(N'owdd_cdc') IS NOT NULL", f"ALTER DATABASE {database} REMOVE FILE [owdd_cdc];")
    group = when(
        f"FILEGROUP_ID({text(FILEGROUP)}) NOT IN (SELECT data_space_id FROM sys.database_files)",
        f"ALTER DATABASE {database} REMOVE FILEGROUP {identifier(FILEGROUP)};",
    )
    return f"{file}\n{group}"
