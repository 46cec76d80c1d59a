-- login.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.
-- The DBA reviews and runs it; no program of ours does. It may be run again: steps that are done are skipped.
-- sqlcmd -S <server> -E -b -i login.sql
--
-- Makes the login and the user of the connector, and grants what capture needs through role [owdd_reader].
-- Run by: a sysadmin, or a securityadmin who is db_owner here; after enable.sql.
-- The password is the environment variable OWDD_SOURCE_PASSWORD, which sqlcmd inserts; it must contain no quote mark. Do not
-- give it with -v: other users of the machine can read arguments. A login that exists keeps its password.
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

IF LEN(N'$(OWDD_SOURCE_PASSWORD)') < 12 OR N'$(OWDD_SOURCE_PASSWORD)' = N'$' + N'(OWDD_SOURCE_PASSWORD)'
BEGIN
    RAISERROR (N'OWDD_SOURCE_PASSWORD is not set, or shorter than 12 characters. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

IF DATABASE_PRINCIPAL_ID(N'owdd_reader') IS NULL
BEGIN
    RAISERROR (N'Run enable.sql first. Nothing was done.', 16, 1);
    SET NOEXEC ON;
END;
GO

IF SUSER_ID(N'owdd_capture') IS NULL
BEGIN
    CREATE LOGIN [owdd_capture] WITH PASSWORD = N'$(OWDD_SOURCE_PASSWORD)', DEFAULT_DATABASE = [Orderwise], CHECK_POLICY = ON;
END;
GO

IF DATABASE_PRINCIPAL_ID(N'owdd_capture') IS NULL
BEGIN
    CREATE USER [owdd_capture] FOR LOGIN [owdd_capture];
END;
GO

-- After a restore the user belongs to a login of another server.
ALTER USER [owdd_capture] WITH LOGIN = [owdd_capture];
GO

ALTER ROLE [owdd_reader] ADD MEMBER [owdd_capture];
GO

-- Source tables, for the first read and incremental snapshots.
GRANT SELECT ON [dbo].[customer_detail] TO [owdd_reader];
GRANT SELECT ON [dbo].[customer_contact] TO [owdd_reader];
GRANT SELECT ON [dbo].[order_header] TO [owdd_reader];
GRANT SELECT ON [dbo].[order_header_detail] TO [owdd_reader];
GRANT SELECT ON [dbo].[order_header_total] TO [owdd_reader];
GRANT SELECT ON [dbo].[order_line_item] TO [owdd_reader];
GRANT SELECT ON [dbo].[delivery_header] TO [owdd_reader];
GRANT SELECT ON [dbo].[order_status] TO [owdd_reader];
GRANT SELECT ON [dbo].[product_detail] TO [owdd_reader];
GRANT SELECT ON [dbo].[variant_detail] TO [owdd_reader];
GRANT SELECT ON [dbo].[variant_foreign_price] TO [owdd_reader];
GRANT SELECT ON [dbo].[variant_stock_quantity] TO [owdd_reader];
GRANT SELECT ON [dbo].[category_treeview_node] TO [owdd_reader];
GRANT SELECT ON [dbo].[variant_category] TO [owdd_reader];
GRANT SELECT ON [owdd].[heartbeat] TO [owdd_reader];
GRANT SELECT ON [owdd].[signal] TO [owdd_reader];
GO

-- Change tables and their metadata.
GRANT SELECT ON SCHEMA::[cdc] TO [owdd_reader];
GO

GRANT UPDATE ON [owdd].[heartbeat] TO [owdd_reader];
GO

GRANT INSERT, DELETE ON [owdd].[signal] TO [owdd_reader];
GO

-- Whether the log is being read.
GRANT VIEW DATABASE STATE TO [owdd_reader];
GO

-- Whether SQL Server Agent runs.
USE [master];
GRANT VIEW SERVER STATE TO [owdd_capture];
GO

SET NOEXEC OFF;
GO
