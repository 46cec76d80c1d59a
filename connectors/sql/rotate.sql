-- rotate.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.
-- The DBA reviews and runs it; no program of ours does. It may be run again: steps that are done are skipped.
-- sqlcmd -S <server> -E -b -i rotate.sql
--
-- Moves tables from one capture instance to the next (_v1 to _v2, and so on), with the columns of the mapping as it is now.
-- Run by: db_owner, twice, with the environment variable OWDD_ROTATE set:
--   begin   makes the next instance of every table that has one; a table that has none (the vendor rebuilt it) gets one.
--   finish  drops the older of two. Only after the connector has moved: its topic of notifications has "Capture Instance",
--           "COMPLETED" for the old one, and "owdd connectors status" shows a position after the new one's start_lsn.
-- One change at a time: begin skips a table with two instances.
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

IF N'$(OWDD_ROTATE)' NOT IN (N'begin', N'finish')
BEGIN
    RAISERROR (N'OWDD_ROTATE is neither begin nor finish. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NULL
BEGIN
    RAISERROR (N'Run enable.sql first. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 17, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 17, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[customer_detail]')
    AND capture_instance LIKE N'customer[_]detail[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'customer_detail_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'customer_detail',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[cd_id], [cd_ow_account], [cd_account_customer], [cd_statement_email], [cd_invoice_email]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'customer_detail_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'customer_detail', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 18, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 18, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[customer_contact]')
    AND capture_instance LIKE N'customer[_]contact[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'customer_contact_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'customer_contact',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[cc_id], [cc_customer_id], [cc_email], [cc_first_name], [cc_last_name], [cc_name]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'customer_contact_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'customer_contact', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 14, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 14, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header]')
    AND capture_instance LIKE N'order[_]header[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'order_header_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_header',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[oh_id], [oh_order_number], [oh_datetime], [oh_cd_id], [oh_sot_id], [oh_os_id]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'order_header_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 21, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 21, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header_detail]')
    AND capture_instance LIKE N'order[_]header[_]detail[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'order_header_detail_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_header_detail',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[ohd_id], [ohd_oh_id], [ohd_delivery_email], [ohd_invoice_email], [ohd_c_id]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'order_header_detail_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header_detail', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 20, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 20, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header_total]')
    AND capture_instance LIKE N'order[_]header[_]total[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'order_header_total_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_header_total',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[oht_id], [oht_oh_id], [oht_net]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'order_header_total_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header_total', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 17, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 17, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[order_line_item]')
    AND capture_instance LIKE N'order[_]line[_]item[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'order_line_item_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_line_item',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[oli_id], [oli_oh_id], [oli_original_oli_id], [oli_vad_id], [oli_qty_required], [oli_line_net]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'order_line_item_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_line_item', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 17, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 17, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[delivery_header]')
    AND capture_instance LIKE N'delivery[_]header[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'delivery_header_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'delivery_header',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[dh_id], [dh_oh_id], [dh_datetime], [dh_consignment_number]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'delivery_header_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'delivery_header', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 14, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 14, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[order_status]')
    AND capture_instance LIKE N'order[_]status[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'order_status_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'order_status',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[os_id], [os_description]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'order_status_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_status', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 16, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 16, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[product_detail]')
    AND capture_instance LIKE N'product[_]detail[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'product_detail_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'product_detail',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[pd_id], [pd_product_code], [pd_description]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'product_detail_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'product_detail', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 16, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 16, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_detail]')
    AND capture_instance LIKE N'variant[_]detail[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'variant_detail_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_detail',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vad_id], [vad_pd_id], [vad_variant_code], [vad_description], [vad_sale_variant]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'variant_detail_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_detail', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 23, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 23, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_foreign_price]')
    AND capture_instance LIKE N'variant[_]foreign[_]price[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'variant_foreign_price_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_foreign_price',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vafp_id], [vafp_vad_id], [vafp_c_id], [vafp_rsp_exc_vat], [vafp_price_per], [vafp_base_price]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'variant_foreign_price_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_foreign_price', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 24, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 24, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_stock_quantity]')
    AND capture_instance LIKE N'variant[_]stock[_]quantity[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'variant_stock_quantity_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_stock_quantity',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vasq_id], [vasq_vad_id], [vasq_free_stock_quantity]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'variant_stock_quantity_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_stock_quantity', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 24, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 24, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[category_treeview_node]')
    AND capture_instance LIKE N'category[_]treeview[_]node[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'category_treeview_node_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'category_treeview_node',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[ctn_id], [ctn_description]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'category_treeview_node_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'category_treeview_node', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 18, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 18, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_category]')
    AND capture_instance LIKE N'variant[_]category[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'variant_category_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'variant_category',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[vac_id], [vac_vad_id], [vac_ctn_id]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'variant_category_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_category', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 16, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 16, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[owdd].[heartbeat]')
    AND capture_instance LIKE N'owdd[_]heartbeat[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'owdd_heartbeat_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'owdd', @source_name = N'heartbeat',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[id], [beat]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'owdd_heartbeat_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'owdd', @source_name = N'heartbeat', @capture_instance = @instance;
END;
GO

DECLARE @instances int, @oldest int, @newest int, @instance sysname;
SELECT @instances = COUNT(*),
    @oldest = MIN(TRY_CAST(STUFF(capture_instance, 1, 13, N'') AS int)),
    @newest = ISNULL(MAX(TRY_CAST(STUFF(capture_instance, 1, 13, N'') AS int)), 0)
FROM cdc.change_tables
WHERE source_object_id = OBJECT_ID(N'[owdd].[signal]')
    AND capture_instance LIKE N'owdd[_]signal[_]v[0-9]%';
IF N'$(OWDD_ROTATE)' = N'begin' AND @instances < 2
BEGIN
    SET @instance = CONCAT(N'owdd_signal_v', @newest + 1);
    EXEC sys.sp_cdc_enable_table @source_schema = N'owdd', @source_name = N'signal',
        @capture_instance = @instance, @role_name = N'owdd_reader', @supports_net_changes = 0,
        @allow_partition_switch = 0,
        @filegroup_name = N'OWDD_CDC',
        @captured_column_list = N'[id], [type], [data]';
END;
IF N'$(OWDD_ROTATE)' = N'finish' AND @instances = 2
BEGIN
    SET @instance = CONCAT(N'owdd_signal_v', @oldest);
    EXEC sys.sp_cdc_disable_table @source_schema = N'owdd', @source_name = N'signal', @capture_instance = @instance;
END;
GO

SELECT capture_instance, start_lsn, create_date FROM cdc.change_tables ORDER BY capture_instance;
GO

SET NOEXEC OFF;
GO
