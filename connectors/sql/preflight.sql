-- preflight.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.
-- Changes nothing except a temporary table of its own.
-- sqlcmd -S <server> -E -W -i preflight.sql -o preflight.txt
--
-- Checks whether the server and the database can use change data capture, and once it is on, whether it works. Reads only.
-- Run by: anyone with VIEW SERVER STATE and VIEW ANY DEFINITION; before enable.sql, after it, and when something is unusual.
-- Verdicts: ok; look (decide yourself); stop (capture will not work like this).
GO

USE [Orderwise];
GO

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
IF DB_NAME() <> N'Orderwise'
BEGIN
    RAISERROR (N'The database Orderwise does not exist here, or may not be used. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

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
GO

SELECT name, is_cdc_enabled, snapshot_isolation_state_desc, is_read_committed_snapshot_on, recovery_model_desc,
    compatibility_level, collation_name, is_published, log_reuse_wait_desc,
    CASE WHEN log_reuse_wait_desc = N'REPLICATION' AND is_cdc_enabled = 1
        THEN N'look: the log waits for the capture job' ELSE N'ok' END AS verdict
FROM sys.databases WHERE database_id = DB_ID();
SELECT N'user or schema called cdc' AS [in the way of sp_cdc_enable_db], name
FROM sys.database_principals WHERE name = N'cdc'
    AND NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1);
GO

SELECT total_log_size_in_bytes / 1048576 AS log_mb, used_log_space_in_percent FROM sys.dm_db_log_space_usage;
SELECT DISTINCT v.volume_mount_point, v.total_bytes / 1048576 AS total_mb, v.available_bytes / 1048576 AS free_mb,
    CASE WHEN v.available_bytes * 10 < v.total_bytes THEN N'look' ELSE N'ok' END AS verdict
FROM sys.database_files AS f CROSS APPLY sys.dm_os_volume_stats(DB_ID(), f.file_id) AS v;
SELECT SUM(unallocated_extent_page_count) / 128 AS tempdb_free_mb,
    SUM(version_store_reserved_page_count) / 128 AS version_store_mb
FROM tempdb.sys.dm_db_file_space_usage;
GO

SELECT DB_NAME() AS [database], N'stop: topics are named by this spelling; the mapping must have it' AS verdict
WHERE DB_NAME() <> N'Orderwise' COLLATE Latin1_General_BIN2;
GO

DROP TABLE IF EXISTS #mapped;
CREATE TABLE #mapped (
    [table] nvarchar(300) COLLATE DATABASE_DEFAULT NOT NULL,
    [column] nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL
);
INSERT INTO #mapped ([table], [column]) VALUES
    (N'[dbo].[customer_detail]', N'cd_id'),
    (N'[dbo].[customer_detail]', N'cd_ow_account'),
    (N'[dbo].[customer_detail]', N'cd_account_customer'),
    (N'[dbo].[customer_detail]', N'cd_statement_email'),
    (N'[dbo].[customer_detail]', N'cd_invoice_email'),
    (N'[dbo].[customer_contact]', N'cc_id'),
    (N'[dbo].[customer_contact]', N'cc_customer_id'),
    (N'[dbo].[customer_contact]', N'cc_email'),
    (N'[dbo].[customer_contact]', N'cc_first_name'),
    (N'[dbo].[customer_contact]', N'cc_last_name'),
    (N'[dbo].[customer_contact]', N'cc_name'),
    (N'[dbo].[order_header]', N'oh_id'),
    (N'[dbo].[order_header]', N'oh_order_number'),
    (N'[dbo].[order_header]', N'oh_datetime'),
    (N'[dbo].[order_header]', N'oh_cd_id'),
    (N'[dbo].[order_header]', N'oh_sot_id'),
    (N'[dbo].[order_header]', N'oh_os_id'),
    (N'[dbo].[order_header_detail]', N'ohd_id'),
    (N'[dbo].[order_header_detail]', N'ohd_oh_id'),
    (N'[dbo].[order_header_detail]', N'ohd_delivery_email'),
    (N'[dbo].[order_header_detail]', N'ohd_invoice_email'),
    (N'[dbo].[order_header_detail]', N'ohd_c_id'),
    (N'[dbo].[order_header_total]', N'oht_id'),
    (N'[dbo].[order_header_total]', N'oht_oh_id'),
    (N'[dbo].[order_header_total]', N'oht_net'),
    (N'[dbo].[order_line_item]', N'oli_id'),
    (N'[dbo].[order_line_item]', N'oli_oh_id'),
    (N'[dbo].[order_line_item]', N'oli_original_oli_id'),
    (N'[dbo].[order_line_item]', N'oli_vad_id'),
    (N'[dbo].[order_line_item]', N'oli_qty_required'),
    (N'[dbo].[order_line_item]', N'oli_line_net'),
    (N'[dbo].[delivery_header]', N'dh_id'),
    (N'[dbo].[delivery_header]', N'dh_oh_id'),
    (N'[dbo].[delivery_header]', N'dh_datetime'),
    (N'[dbo].[delivery_header]', N'dh_consignment_number'),
    (N'[dbo].[order_status]', N'os_id'),
    (N'[dbo].[order_status]', N'os_description'),
    (N'[dbo].[product_detail]', N'pd_id'),
    (N'[dbo].[product_detail]', N'pd_product_code'),
    (N'[dbo].[product_detail]', N'pd_description'),
    (N'[dbo].[variant_detail]', N'vad_id'),
    (N'[dbo].[variant_detail]', N'vad_pd_id'),
    (N'[dbo].[variant_detail]', N'vad_variant_code'),
    (N'[dbo].[variant_detail]', N'vad_description'),
    (N'[dbo].[variant_detail]', N'vad_sale_variant'),
    (N'[dbo].[variant_foreign_price]', N'vafp_id'),
    (N'[dbo].[variant_foreign_price]', N'vafp_vad_id'),
    (N'[dbo].[variant_foreign_price]', N'vafp_c_id'),
    (N'[dbo].[variant_foreign_price]', N'vafp_rsp_exc_vat'),
    (N'[dbo].[variant_foreign_price]', N'vafp_price_per'),
    (N'[dbo].[variant_foreign_price]', N'vafp_base_price'),
    (N'[dbo].[variant_stock_quantity]', N'vasq_id'),
    (N'[dbo].[variant_stock_quantity]', N'vasq_vad_id'),
    (N'[dbo].[variant_stock_quantity]', N'vasq_free_stock_quantity'),
    (N'[dbo].[category_treeview_node]', N'ctn_id'),
    (N'[dbo].[category_treeview_node]', N'ctn_description'),
    (N'[dbo].[variant_category]', N'vac_id'),
    (N'[dbo].[variant_category]', N'vac_vad_id'),
    (N'[dbo].[variant_category]', N'vac_ctn_id');
GO

DROP TABLE IF EXISTS #roles;
CREATE TABLE #roles (
    [table] nvarchar(300) COLLATE DATABASE_DEFAULT NOT NULL,
    [column] nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
    [role] nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL,
    [large] bit NOT NULL,
    [zoned] bit NOT NULL
);
INSERT INTO #roles ([table], [column], [role], [large], [zoned]) VALUES
    (N'[dbo].[customer_detail]', N'cd_id', N'key', 0, 0),
    (N'[dbo].[customer_detail]', N'cd_ow_account', N'value', 0, 0),
    (N'[dbo].[customer_detail]', N'cd_account_customer', N'value', 0, 0),
    (N'[dbo].[customer_detail]', N'cd_statement_email', N'address', 0, 0),
    (N'[dbo].[customer_detail]', N'cd_invoice_email', N'address', 0, 0),
    (N'[dbo].[customer_contact]', N'cc_id', N'key', 0, 0),
    (N'[dbo].[customer_contact]', N'cc_customer_id', N'value', 0, 0),
    (N'[dbo].[customer_contact]', N'cc_email', N'address', 0, 0),
    (N'[dbo].[customer_contact]', N'cc_first_name', N'value', 0, 0),
    (N'[dbo].[customer_contact]', N'cc_last_name', N'value', 0, 0),
    (N'[dbo].[customer_contact]', N'cc_name', N'value', 0, 0),
    (N'[dbo].[order_header]', N'oh_id', N'key', 0, 0),
    (N'[dbo].[order_header]', N'oh_order_number', N'value', 0, 0),
    (N'[dbo].[order_header]', N'oh_datetime', N'value', 0, 0),
    (N'[dbo].[order_header]', N'oh_cd_id', N'value', 0, 0),
    (N'[dbo].[order_header]', N'oh_sot_id', N'value', 0, 0),
    (N'[dbo].[order_header]', N'oh_os_id', N'value', 0, 0),
    (N'[dbo].[order_header_detail]', N'ohd_id', N'key', 0, 0),
    (N'[dbo].[order_header_detail]', N'ohd_oh_id', N'value', 0, 0),
    (N'[dbo].[order_header_detail]', N'ohd_delivery_email', N'address', 0, 0),
    (N'[dbo].[order_header_detail]', N'ohd_invoice_email', N'address', 0, 0),
    (N'[dbo].[order_header_detail]', N'ohd_c_id', N'value', 0, 0),
    (N'[dbo].[order_header_total]', N'oht_id', N'key', 0, 0),
    (N'[dbo].[order_header_total]', N'oht_oh_id', N'value', 0, 0),
    (N'[dbo].[order_header_total]', N'oht_net', N'value', 0, 0),
    (N'[dbo].[order_line_item]', N'oli_id', N'key', 0, 0),
    (N'[dbo].[order_line_item]', N'oli_oh_id', N'value', 0, 0),
    (N'[dbo].[order_line_item]', N'oli_original_oli_id', N'value', 0, 0),
    (N'[dbo].[order_line_item]', N'oli_vad_id', N'value', 0, 0),
    (N'[dbo].[order_line_item]', N'oli_qty_required', N'value', 0, 0),
    (N'[dbo].[order_line_item]', N'oli_line_net', N'value', 0, 0),
    (N'[dbo].[delivery_header]', N'dh_id', N'key', 0, 0),
    (N'[dbo].[delivery_header]', N'dh_oh_id', N'value', 0, 0),
    (N'[dbo].[delivery_header]', N'dh_datetime', N'value', 0, 0),
    (N'[dbo].[delivery_header]', N'dh_consignment_number', N'value', 0, 0),
    (N'[dbo].[order_status]', N'os_id', N'key', 0, 0),
    (N'[dbo].[order_status]', N'os_description', N'value', 0, 0),
    (N'[dbo].[product_detail]', N'pd_id', N'key', 0, 0),
    (N'[dbo].[product_detail]', N'pd_product_code', N'value', 0, 0),
    (N'[dbo].[product_detail]', N'pd_description', N'value', 0, 0),
    (N'[dbo].[variant_detail]', N'vad_id', N'key', 0, 0),
    (N'[dbo].[variant_detail]', N'vad_pd_id', N'value', 0, 0),
    (N'[dbo].[variant_detail]', N'vad_variant_code', N'value', 0, 0),
    (N'[dbo].[variant_detail]', N'vad_description', N'value', 0, 0),
    (N'[dbo].[variant_detail]', N'vad_sale_variant', N'value', 0, 0),
    (N'[dbo].[variant_foreign_price]', N'vafp_id', N'key', 0, 0),
    (N'[dbo].[variant_foreign_price]', N'vafp_vad_id', N'value', 0, 0),
    (N'[dbo].[variant_foreign_price]', N'vafp_c_id', N'value', 0, 0),
    (N'[dbo].[variant_foreign_price]', N'vafp_rsp_exc_vat', N'value', 0, 0),
    (N'[dbo].[variant_foreign_price]', N'vafp_price_per', N'value', 0, 0),
    (N'[dbo].[variant_foreign_price]', N'vafp_base_price', N'value', 0, 0),
    (N'[dbo].[variant_stock_quantity]', N'vasq_id', N'key', 0, 0),
    (N'[dbo].[variant_stock_quantity]', N'vasq_vad_id', N'value', 0, 0),
    (N'[dbo].[variant_stock_quantity]', N'vasq_free_stock_quantity', N'value', 0, 0),
    (N'[dbo].[category_treeview_node]', N'ctn_id', N'key', 0, 0),
    (N'[dbo].[category_treeview_node]', N'ctn_description', N'value', 0, 0),
    (N'[dbo].[variant_category]', N'vac_id', N'key', 0, 0),
    (N'[dbo].[variant_category]', N'vac_vad_id', N'value', 0, 0),
    (N'[dbo].[variant_category]', N'vac_ctn_id', N'value', 0, 0);
GO

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
    AND EXISTS (
    SELECT 1 FROM #mapped AS m
    JOIN sys.columns AS c ON c.object_id = OBJECT_ID(m.[table]) AND c.name = m.[column]
    WHERE c.max_length = -1 OR TYPE_NAME(c.system_type_id) IN (N'text', N'ntext', N'image'));
SELECT DISTINCT m.[table], N'stop: clustered columnstore' AS verdict
FROM #mapped AS m JOIN sys.indexes AS i ON i.object_id = OBJECT_ID(m.[table]) AND i.type = 5;
SELECT DISTINCT m.[table], N'look: no primary key, the mapped key must be unique and never null' AS verdict
FROM #mapped AS m
WHERE OBJECT_ID(m.[table]) IS NOT NULL AND OBJECTPROPERTY(OBJECT_ID(m.[table]), 'TableHasPrimaryKey') = 0;
GO

IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)
BEGIN
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
END;
GO

SELECT USER_NAME(grantee_principal_id) AS grantee, permission_name, state_desc,
    CASE class
        WHEN 1 THEN OBJECT_SCHEMA_NAME(major_id) + N'.' + OBJECT_NAME(major_id)
        WHEN 3 THEN SCHEMA_NAME(major_id)
        ELSE class_desc COLLATE DATABASE_DEFAULT
    END AS [on]
FROM sys.database_permissions
WHERE grantee_principal_id IN (DATABASE_PRINCIPAL_ID(N'owdd_reader'), DATABASE_PRINCIPAL_ID(N'owdd_capture'));
SELECT r.name AS [the connector is in role], CASE WHEN r.name = N'owdd_reader' THEN N'ok' ELSE N'look: not needed' END AS verdict
FROM sys.database_role_members AS m JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
WHERE m.member_principal_id = DATABASE_PRINCIPAL_ID(N'owdd_capture');
SELECT r.name AS [the connector is in server role], N'look: not needed' AS verdict
FROM sys.server_role_members AS m JOIN sys.server_principals AS r ON r.principal_id = m.role_principal_id
WHERE m.member_principal_id = SUSER_ID(N'owdd_capture');
GO

SET NOEXEC OFF;
GO
