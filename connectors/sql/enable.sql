-- enable.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.
-- The DBA reviews and runs it; no program of ours does. It may be run again: steps that are done are skipped.
-- sqlcmd -S <server> -E -b -i enable.sql
--
-- Enables change data capture for the database and the mapped tables, and makes schema [owdd] with two small tables.
-- Run by: a sysadmin (sp_cdc_enable_db requires it). SQL Server Agent must run. See docs/capture.md for the cost.
-- Captures the columns of the mapping and no others; keeps changes for 7 days.
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

IF CAST(SERVERPROPERTY('EngineEdition') AS int) = 4
BEGIN
    RAISERROR (N'Express edition has no change data capture. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
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

IF EXISTS (SELECT 1 FROM #mapped WHERE COL_LENGTH([table], [column]) IS NULL)
BEGIN
    SELECT [table], [column] AS [mapped, but not in the database] FROM #mapped WHERE COL_LENGTH([table], [column]) IS NULL;
    RAISERROR (N'The mapping names columns that are not here; they are listed. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

-- A longer text in a captured column would make the write of the ERP itself fail.
IF EXISTS (
    SELECT 1 FROM #mapped AS m
    JOIN sys.columns AS c ON c.object_id = OBJECT_ID(m.[table]) AND c.name = m.[column]
    WHERE c.max_length = -1 OR TYPE_NAME(c.system_type_id) IN (N'text', N'ntext', N'image')) AND EXISTS (
    SELECT 1 FROM sys.configurations
    WHERE name = N'max text repl size (B)' AND CAST(value_in_use AS bigint) <> -1)
BEGIN
    RAISERROR (N'A mapped column is large: first EXEC sp_configure ''max text repl size'', -1; RECONFIGURE. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

IF NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)
BEGIN
    EXEC sys.sp_cdc_enable_db;
END;
GO

IF NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND snapshot_isolation_state = 1)
BEGIN
    -- The connector's first read then takes no locks; row versions live in tempdb while it lasts.
    ALTER DATABASE [Orderwise] SET ALLOW_SNAPSHOT_ISOLATION ON;
END;
GO

IF FILEGROUP_ID(N'OWDD_CDC') IS NULL
BEGIN
    ALTER DATABASE [Orderwise] ADD FILEGROUP [OWDD_CDC];
END;
GO

IF FILEGROUP_ID(N'OWDD_CDC') NOT IN (SELECT data_space_id FROM sys.database_files)
BEGIN
    DECLARE @folder nvarchar(260) = CAST(SERVERPROPERTY('InstanceDefaultDataPath') AS nvarchar(260));
    DECLARE @add nvarchar(max) = N'ALTER DATABASE [Orderwise] ADD FILE (NAME = owdd_cdc, FILENAME = '''
        + REPLACE(@folder + DB_NAME(), N'''', N'''''')
        + N'_owdd_cdc.ndf'', SIZE = 256MB, FILEGROWTH = 256MB) TO FILEGROUP [OWDD_CDC]';
    EXEC (@add);
END;
GO

IF DATABASE_PRINCIPAL_ID(N'owdd_reader') IS NULL
BEGIN
    CREATE ROLE [owdd_reader] AUTHORIZATION [dbo];
END;
GO

IF SCHEMA_ID(N'owdd') IS NULL
BEGIN
    EXEC sys.sp_executesql @stmt = N'CREATE SCHEMA [owdd] AUTHORIZATION [dbo]';
END;
GO

IF OBJECT_ID(N'[owdd].[heartbeat]', N'U') IS NULL
BEGIN
    CREATE TABLE [owdd].[heartbeat] (
        [id] int NOT NULL CONSTRAINT [pk_owdd_heartbeat] PRIMARY KEY,
        [beat] datetime2(3) NOT NULL
    );
END;
IF NOT EXISTS (SELECT 1 FROM [owdd].[heartbeat] WHERE [id] = 1)
BEGIN
    INSERT INTO [owdd].[heartbeat] ([id], [beat]) VALUES (1, SYSUTCDATETIME());
END;
GO

IF OBJECT_ID(N'[owdd].[signal]', N'U') IS NULL
BEGIN
    CREATE TABLE [owdd].[signal] (
        [id] varchar(42) NOT NULL CONSTRAINT [pk_owdd_signal] PRIMARY KEY,
        [type] varchar(32) NOT NULL,
        [data] varchar(2048) NULL
    );
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[customer_detail]')
    AND capture_instance LIKE N'customer[_]detail[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'customer_detail',
        @capture_instance = N'customer_detail_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[cd_id], [cd_ow_account], [cd_account_customer], [cd_statement_email], [cd_invoice_email]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[customer_contact]')
    AND capture_instance LIKE N'customer[_]contact[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'customer_contact',
        @capture_instance = N'customer_contact_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[cc_id], [cc_customer_id], [cc_email], [cc_first_name], [cc_last_name], [cc_name]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header]')
    AND capture_instance LIKE N'order[_]header[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_header',
        @capture_instance = N'order_header_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[oh_id], [oh_order_number], [oh_datetime], [oh_cd_id], [oh_sot_id], [oh_os_id]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header_detail]')
    AND capture_instance LIKE N'order[_]header[_]detail[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_header_detail',
        @capture_instance = N'order_header_detail_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[ohd_id], [ohd_oh_id], [ohd_delivery_email], [ohd_invoice_email], [ohd_c_id]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header_total]')
    AND capture_instance LIKE N'order[_]header[_]total[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_header_total',
        @capture_instance = N'order_header_total_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[oht_id], [oht_oh_id], [oht_net]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_line_item]')
    AND capture_instance LIKE N'order[_]line[_]item[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_line_item',
        @capture_instance = N'order_line_item_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[oli_id], [oli_oh_id], [oli_original_oli_id], [oli_vad_id], [oli_qty_required], [oli_line_net]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[delivery_header]')
    AND capture_instance LIKE N'delivery[_]header[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'delivery_header',
        @capture_instance = N'delivery_header_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[dh_id], [dh_oh_id], [dh_datetime], [dh_consignment_number]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_status]')
    AND capture_instance LIKE N'order[_]status[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_status',
        @capture_instance = N'order_status_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[os_id], [os_description]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[product_detail]')
    AND capture_instance LIKE N'product[_]detail[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'product_detail',
        @capture_instance = N'product_detail_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[pd_id], [pd_product_code], [pd_description]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_detail]')
    AND capture_instance LIKE N'variant[_]detail[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_detail',
        @capture_instance = N'variant_detail_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vad_id], [vad_pd_id], [vad_variant_code], [vad_description], [vad_sale_variant]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_foreign_price]')
    AND capture_instance LIKE N'variant[_]foreign[_]price[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_foreign_price',
        @capture_instance = N'variant_foreign_price_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vafp_id], [vafp_vad_id], [vafp_c_id], [vafp_rsp_exc_vat], [vafp_price_per], [vafp_base_price]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_stock_quantity]')
    AND capture_instance LIKE N'variant[_]stock[_]quantity[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_stock_quantity',
        @capture_instance = N'variant_stock_quantity_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vasq_id], [vasq_vad_id], [vasq_free_stock_quantity]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[category_treeview_node]')
    AND capture_instance LIKE N'category[_]treeview[_]node[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'category_treeview_node',
        @capture_instance = N'category_treeview_node_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[ctn_id], [ctn_description]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_category]')
    AND capture_instance LIKE N'variant[_]category[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_category',
        @capture_instance = N'variant_category_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vac_id], [vac_vad_id], [vac_ctn_id]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[owdd].[heartbeat]')
    AND capture_instance LIKE N'owdd[_]heartbeat[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'owdd', @source_name = N'heartbeat',
        @capture_instance = N'owdd_heartbeat_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[id], [beat]';
END;
GO

IF NOT EXISTS (
    SELECT 1 FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[owdd].[signal]')
    AND capture_instance LIKE N'owdd[_]signal[_]v[0-9]%'
)
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'owdd', @source_name = N'signal',
        @capture_instance = N'owdd_signal_v1', @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[id], [type], [data]';
END;
GO

-- The first commit that CDC captures. Start the connector when preflight.sql shows it, some seconds later.
UPDATE [owdd].[heartbeat] SET [beat] = SYSUTCDATETIME() WHERE [id] = 1;
GO

IF EXISTS (
    SELECT 1 FROM msdb.dbo.cdc_jobs
    WHERE database_id = DB_ID() AND job_type = N'cleanup' AND (retention <> 10080 OR threshold <> 5000)
)
BEGIN
    EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 10080, @threshold = 5000;
END;
GO

IF EXISTS (
    SELECT 1 FROM msdb.dbo.cdc_jobs
    WHERE database_id = DB_ID() AND job_type = N'capture' AND (pollinginterval <> 5 OR maxtrans <> 500 OR maxscans <> 10)
)
BEGIN
    EXEC sys.sp_cdc_change_job @job_type = N'capture', @pollinginterval = 5, @maxtrans = 500, @maxscans = 10;
    EXEC sys.sp_cdc_stop_job @job_type = N'capture';
    EXEC sys.sp_cdc_start_job @job_type = N'capture';
END;
GO

EXEC sys.sp_cdc_help_change_data_capture;
EXEC sys.sp_cdc_help_jobs;
GO

SET NOEXEC OFF;
GO
