-- disable.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.
-- The DBA reviews and runs it; no program of ours does. It may be run again: steps that are done are skipped.
-- sqlcmd -S <server> -E -b -i disable.sql
--
-- Removes everything that enable.sql and login.sql made. Stop and delete the connector first. Its unread changes are lost.
-- Run by: a sysadmin. To come back: enable.sql, login.sql and a new snapshot. Schema [owdd] is dropped, with its two tables.
-- Change data capture stays on for the database while others have capture instances. ALLOW_SNAPSHOT_ISOLATION stays on:
-- others may use it by now. To switch it off as well: ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION OFF.
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

IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE login_name = N'owdd_capture')
BEGIN
    RAISERROR (N'The connector is still connected. Stop it first. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[customer_detail]')
        AND capture_instance LIKE N'customer[_]detail[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'customer_detail', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'customer_detail', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[customer_contact]')
        AND capture_instance LIKE N'customer[_]contact[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'customer_contact', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'customer_contact', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header]')
        AND capture_instance LIKE N'order[_]header[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header_detail]')
        AND capture_instance LIKE N'order[_]header[_]detail[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header_detail', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header_detail', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_header_total]')
        AND capture_instance LIKE N'order[_]header[_]total[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header_total', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_header_total', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_line_item]')
        AND capture_instance LIKE N'order[_]line[_]item[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_line_item', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_line_item', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[delivery_header]')
        AND capture_instance LIKE N'delivery[_]header[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'delivery_header', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'delivery_header', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[order_status]')
        AND capture_instance LIKE N'order[_]status[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_status', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'order_status', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[product_detail]')
        AND capture_instance LIKE N'product[_]detail[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'product_detail', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'product_detail', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_detail]')
        AND capture_instance LIKE N'variant[_]detail[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_detail', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_detail', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_foreign_price]')
        AND capture_instance LIKE N'variant[_]foreign[_]price[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_foreign_price', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_foreign_price', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_stock_quantity]')
        AND capture_instance LIKE N'variant[_]stock[_]quantity[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_stock_quantity', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_stock_quantity', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[category_treeview_node]')
        AND capture_instance LIKE N'category[_]treeview[_]node[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'category_treeview_node', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'category_treeview_node', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[dbo].[variant_category]')
        AND capture_instance LIKE N'variant[_]category[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_category', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'variant_category', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[owdd].[heartbeat]')
        AND capture_instance LIKE N'owdd[_]heartbeat[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'owdd', @source_name = N'heartbeat', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'owdd', @source_name = N'heartbeat', @capture_instance = @last;
    END;
END;
GO

IF OBJECT_ID(N'[cdc].[change_tables]', N'U') IS NOT NULL
BEGIN
    DECLARE @first sysname, @last sysname;
    SELECT @first = MIN(capture_instance), @last = MAX(capture_instance)
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'[owdd].[signal]')
        AND capture_instance LIKE N'owdd[_]signal[_]v[0-9]%';
    IF @first IS NOT NULL
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'owdd', @source_name = N'signal', @capture_instance = @first;
    END;
    IF @last <> @first
    BEGIN
        EXEC sys.sp_cdc_disable_table @source_schema = N'owdd', @source_name = N'signal', @capture_instance = @last;
    END;
END;
GO

IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)
BEGIN
    IF NOT EXISTS (SELECT 1 FROM cdc.change_tables)
    BEGIN
        EXEC sys.sp_cdc_disable_db;
    END;
END;
GO

DROP TABLE IF EXISTS [owdd].[signal];
DROP TABLE IF EXISTS [owdd].[heartbeat];
DROP SCHEMA IF EXISTS [owdd];
GO

DROP USER IF EXISTS [owdd_capture];
DROP ROLE IF EXISTS [owdd_reader];
GO

IF SUSER_ID(N'owdd_capture') IS NOT NULL
BEGIN
    DROP LOGIN [owdd_capture];
END;
GO

IF FILE_ID(N'owdd_cdc') IS NOT NULL
BEGIN
    ALTER DATABASE [Orderwise] REMOVE FILE [owdd_cdc];
END;
IF FILEGROUP_ID(N'OWDD_CDC') NOT IN (SELECT data_space_id FROM sys.database_files)
BEGIN
    ALTER DATABASE [Orderwise] REMOVE FILEGROUP [OWDD_CDC];
END;
GO

SET NOEXEC OFF;
GO
