-- The demonstration's database, and the login of the shop that writes to it. A site has both already.
IF DB_ID(N'Orderwise') IS NULL CREATE DATABASE [Orderwise];
GO
IF SUSER_ID(N'orderwise') IS NULL
    CREATE LOGIN [orderwise] WITH PASSWORD = N'$(OWDD_ORDERWISE_PASSWORD)', DEFAULT_DATABASE = [Orderwise];
GO
USE [Orderwise];
GO
IF DATABASE_PRINCIPAL_ID(N'orderwise') IS NULL CREATE USER [orderwise] FOR LOGIN [orderwise];
GO
ALTER ROLE [db_datareader] ADD MEMBER [orderwise];
ALTER ROLE [db_datawriter] ADD MEMBER [orderwise];
GO
