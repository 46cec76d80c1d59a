"""Checks whether the server can use change data capture, and whether the setup is still in force. It only reads."""

from collections.abc import Iterator

from streams.connect.sql.layout import layout, when
from streams.connect.sql.names import LARGE_MAPPED, ROLE, identifier, mapped_columns, mapped_tables, qualified, text
from streams.mapping import Mapping
from streams.settings import Settings

_ABOUT = """
Checks whether the server and the database can use change data capture, and once it is on, whether it works. Reads only.
Run by: anyone with VIEW SERVER STATE and VIEW ANY DEFINITION; before enable.sql, after it, and when something is unusual.
Verdicts: ok; look (decide yourself); stop (capture will not work like this).
"""

_SERVER = """
SELECT N'edition' AS [check], CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS found,
    N'Standard, Enterprise or Developer' AS wanted,
    CASE WHEN CAST(SERVERPROPERTY('EngineEdition') AS int) = 4 THEN N'stop' ELSE N'ok' END AS verdict
UNION ALL
SELECT N'version', CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), N'13.0.4001 (2016 SP1) or newer',
    CASE WHEN CAST(PARSENAME(CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), 4) AS int) >= 13
        THEN N'ok' ELSE N'stop' END
UNION ALL
SELECT N'server name', @@SERVERNAME, CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)),
    CASE WHEN @@SERVERNAME = CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)) THEN N'ok' ELSE N'look' END
UNION ALL
SELECT N'agent: ' + servicename, status_desc + N', ' + startup_type_desc, N'Running, Automatic',
    CASE WHEN status_desc <> N'Running' THEN N'stop' WHEN startup_type_desc <> N'Automatic' THEN N'look' ELSE N'ok' END
FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent%'
UNION ALL
SELECT N'you are', SUSER_SNAME(), N'sysadmin, to run enable.sql',
    CASE WHEN IS_SRVROLEMEMBER(N'sysadmin') = 1 THEN N'ok' ELSE N'look' END;
"""

_DATABASE = """
SELECT name, is_cdc_enabled, snapshot_isolation_state_desc, is_read_committed_snapshot_on, recovery_model_desc,
    compatibility_level, collation_name, is_published, log_reuse_wait_desc,
    CASE WHEN log_reuse_wait_desc = N'REPLICATION' AND is_cdc_enabled = 1
        THEN N'look: the log waits for the capture job' ELSE N'ok' END AS verdict
FROM sys.databases WHERE database_id = DB_ID();
SELECT N'user or schema called cdc' AS [in the way of sp_cdc_enable_db], name
FROM sys.database_principals WHERE name = N'cdc'
    AND NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1);
"""

_ROOM = """
SELECT total_log_size_in_bytes / 1048576 AS log_mb, used_log_space_in_percent FROM sys.dm_db_log_space_usage;
SELECT DISTINCT v.volume_mount_point, v.total_bytes / 1048576 AS total_mb, v.available_bytes / 1048576 AS free_mb,
    CASE WHEN v.available_bytes * 10 < v.total_bytes THEN N'look' ELSE N'ok' END AS verdict
FROM sys.database_files AS f CROSS APPLY sys.dm_os_volume_stats(DB_ID(), f.file_id) AS v;
SELECT SUM(unallocated_extent_page_count) / 128 AS tempdb_free_mb,
    SUM(version_store_reserved_page_count) / 128 AS version_store_mb
FROM tempdb.sys.dm_db_file_space_usage;
"""

_TABLES = """
SELECT m.[table], m.[column], t.name AS [type], c.is_computed,
    CASE
        WHEN c.column_id IS NULL THEN N'stop: not in the database'
        WHEN c.is_computed = 1 THEN N'stop: CDC stores NULL for computed columns'
        WHEN c.name <> m.[column] COLLATE Latin1_General_BIN2 THEN N'stop: the mapping must spell it ' + c.name
        WHEN t.name IN (N'text', N'ntext', N'image') AND m.role IN (N'key', N'address')
            THEN N'stop: CDC has no old value of this type; it cannot be a key or an address'
        WHEN t.name IN (N'text', N'ntext', N'image') THEN N'look: CDC has no old value of this type'
        WHEN c.max_length = -1 AND m.large = 0
            THEN N'stop: list it under large in the mapping, and render the connector again'
        WHEN t.name = N'datetimeoffset' AND m.zoned = 0 THEN N'stop: list it under zoned in the mapping'
        WHEN t.name <> N'datetimeoffset' AND m.zoned = 1 THEN N'stop: listed under zoned, but it has no zone'
        WHEN c.max_length = -1 THEN N'ok: the connector reads it again'
        ELSE N'ok'
    END AS verdict
FROM #roles AS m
LEFT JOIN sys.columns AS c ON c.object_id = OBJECT_ID(m.[table]) AND c.name = m.[column]
LEFT JOIN sys.types AS t ON t.user_type_id = c.user_type_id;
SELECT DISTINCT m.[table], QUOTENAME(OBJECT_SCHEMA_NAME(o.object_id)) + N'.' + QUOTENAME(o.name) AS spelled,
    N'stop: topics are named by the spelling of the database; the mapping must have it' AS verdict
FROM #mapped AS m JOIN sys.objects AS o ON o.object_id = OBJECT_ID(m.[table])
WHERE QUOTENAME(OBJECT_SCHEMA_NAME(o.object_id)) + N'.' + QUOTENAME(o.name) <> m.[table] COLLATE Latin1_General_BIN2;
SELECT name AS [max text repl size], value_in_use,
    N'stop: a longer text in a captured column makes the write of the ERP fail; set it to -1 (sp_configure)' AS verdict
FROM sys.configurations
WHERE name = N'max text repl size (B)' AND CAST(value_in_use AS bigint) <> -1
    AND EXISTS (__LARGE__);
SELECT DISTINCT m.[table], N'stop: clustered columnstore' AS verdict
FROM #mapped AS m JOIN sys.indexes AS i ON i.object_id = OBJECT_ID(m.[table]) AND i.type = 5;
SELECT DISTINCT m.[table], N'look: no primary key, the mapped key must be unique and never null' AS verdict
FROM #mapped AS m
WHERE OBJECT_ID(m.[table]) IS NOT NULL AND OBJECTPROPERTY(OBJECT_ID(m.[table]), 'TableHasPrimaryKey') = 0;
"""

_CAPTURE = """
SELECT OBJECT_SCHEMA_NAME(source_object_id) AS [schema], OBJECT_NAME(source_object_id) AS [table], capture_instance,
    role_name, filegroup_name, start_lsn, sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_min_lsn(capture_instance)) AS changes_since
FROM cdc.change_tables ORDER BY capture_instance;
SELECT m.[table], m.[column] AS [mapped, but in no capture instance] FROM #mapped AS m
WHERE NOT EXISTS (
    SELECT 1 FROM cdc.change_tables AS t JOIN cdc.captured_columns AS c ON c.object_id = t.object_id
    WHERE t.source_object_id = OBJECT_ID(m.[table]) AND c.column_name = m.[column]
);
SELECT OBJECT_NAME(source_object_id) AS [table], capture_instance,
    N'look: a partition may be switched, and CDC captures nothing of its rows' AS verdict
FROM cdc.change_tables WHERE partition_switch = 1;
SELECT N'no commit was captured yet: wait for the first, or the snapshot has no position' AS [stop]
WHERE sys.fn_cdc_get_max_lsn() IS NULL;
SELECT job_type, pollinginterval, maxtrans, maxscans, retention / 1440.0 AS retention_days, threshold
FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID();
SELECT TOP (5) start_time, end_time, duration, error_count, latency AS latency_seconds, empty_scan_count, tran_count
FROM sys.dm_cdc_log_scan_sessions ORDER BY session_id DESC;
SELECT TOP (20) entry_time, error_number, error_severity, error_message FROM sys.dm_cdc_errors ORDER BY entry_time DESC;
SELECT DATEDIFF(SECOND, MAX(tran_end_time), SYSDATETIME()) AS seconds_since_last_captured_commit FROM cdc.lsn_time_mapping;
"""


def preflight(mapping: Mapping, settings: Settings) -> str:
    """The script ``preflight.sql``."""
    is_on = "EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)"
    batches = [
        _SERVER,
        _DATABASE,
        _ROOM,
        _spelling(mapping),
        mapped_columns(mapped_tables(mapping)),
        _roles(mapping),
        _TABLES.replace("__LARGE__", LARGE_MAPPED),
        when(is_on, _CAPTURE),
        _rights(text(settings.source_user)),
        *_consent_words(mapping),
    ]
    return layout("preflight", mapping, _ABOUT, batches, reads=True)


def _consent_words(mapping: Mapping) -> Iterator[str]:
    """The values of the mapped consent column with their counts; needs SELECT on the table."""
    rule = mapping.consent
    if rule.mode != "column" or rule.column is None:
        return
    word, table = f"LOWER(LTRIM(RTRIM(CAST({identifier(rule.column)} AS nvarchar(200)))))", mapping.contact.table
    opted_in, opted_out = (", ".join(text(value) for value in sorted(words)) for words in (rule.opted_in, rule.opted_out))
    yield f"""
SELECT TOP (100) LEFT({word}, 30) AS [consent word], COUNT_BIG(*) AS [rows],
    CASE
        WHEN NULLIF({word}, N'') IS NULL THEN N'ok: no consent'
        WHEN {word} IN ({opted_in or "NULL"}) THEN N'ok: opted in'
        WHEN {word} IN ({opted_out or "NULL"}) THEN N'ok: opted out'
        ELSE N'look: in neither list of the mapping'
    END AS verdict
FROM {qualified(mapping.source.schema_, table)} WITH (NOLOCK)
GROUP BY {word}
ORDER BY COUNT_BIG(*) DESC;
"""


def _spelling(mapping: Mapping) -> str:
    """The database's name is part of every topic's name, too."""
    name = text(mapping.source.database)
    return (
        "SELECT DB_NAME() AS [database], N'stop: topics are named by this spelling; the mapping must have it' AS verdict\n"
        f"WHERE DB_NAME() <> {name} COLLATE Latin1_General_BIN2;"
    )


def _roles(mapping: Mapping) -> str:
    """A batch that fills ``#roles``: every mapped column with what the mapping says of its type."""
    addresses = {mapping.contact.email, *mapping.customer.emails, *mapping.order.detail.emails}
    rows = []
    for section in mapping.sections:
        for column in mapping.columns[section.table]:
            role = "key" if column == section.key else "address" if column in addresses else "value"
            name = qualified(mapping.source.schema_, section.table)
            marks = f"{int(column in section.large)}, {int(column in section.zoned)}"
            rows.append(f"    ({text(name)}, {text(column)}, {text(role)}, {marks})")
    return (
        "DROP TABLE IF EXISTS #roles;\n"
        "CREATE TABLE #roles (\n"
        "    [table] nvarchar(300) COLLATE DATABASE_DEFAULT NOT NULL,\n"
        "    [column] nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,\n"
        "    [role] nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL,\n"
        "    [large] bit NOT NULL,\n"
        "    [zoned] bit NOT NULL\n"
        ");\n"
        "INSERT INTO #roles ([table], [column], [role], [large], [zoned]) VALUES\n" + ",\n".join(rows) + ";"
    )


def _rights(user: str) -> str:
    """What the connector's login may do; no rows before ``login.sql``."""
    role = text(ROLE)
    return f"""
SELECT USER_NAME(grantee_principal_id) AS grantee, permission_name, state_desc,
    CASE class
        WHEN 1 THEN OBJECT_SCHEMA_NAME(major_id) + N'.' + OBJECT_NAME(major_id)
        WHEN 3 THEN SCHEMA_NAME(major_id)
        ELSE class_desc COLLATE DATABASE_DEFAULT
    END AS [on]
FROM sys.database_permissions
WHERE grantee_principal_id IN (DATABASE_PRINCIPAL_ID({role}), DATABASE_PRINCIPAL_ID({user}));
SELECT r.name AS [the connector is in role], CASE WHEN r.name = {role} THEN N'ok' ELSE N'look: not needed' END AS verdict
FROM sys.database_role_members AS m JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
WHERE m.member_principal_id = DATABASE_PRINCIPAL_ID({user});
SELECT r.name AS [the connector is in server role], N'look: not needed' AS verdict
FROM sys.server_role_members AS m JOIN sys.server_principals AS r ON r.principal_id = m.role_principal_id
WHERE m.member_principal_id = SUSER_ID({user});
"""
