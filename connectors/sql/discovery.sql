-- discovery.sql, written by "owdd connectors sql" from the mapping: change the mapping, not this file.
-- Changes nothing except a temporary table of its own.
-- sqlcmd -S <server> -E -W -i discovery.sql -o discovery.txt
--
-- Shows the tables of this site, so that the mapping can be corrected before anything is captured. Reads only, and shows no
-- personal data: names of columns, counts, and the texts of lookups.
-- Run by: db_datareader with VIEW DEFINITION and VIEW DATABASE STATE; out of hours, because two queries read a whole table.
-- Null shares are of the newest 100,000 rows. Reads do not wait for writers (READUNCOMMITTED), so counts are nearly exact.
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

-- The mapping against the database.
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

SELECT [table], [column] AS [mapped, but not in the database] FROM #mapped WHERE COL_LENGTH([table], [column]) IS NULL;
GO

-- Columns and types of the mapped tables and their families.
SELECT t.name AS [table], c.column_id, c.name AS [column], y.name AS [type], c.max_length, c.precision, c.scale, c.is_nullable,
    c.is_identity, c.is_computed, c.collation_name
FROM sys.tables AS t
JOIN sys.columns AS c ON c.object_id = t.object_id
JOIN sys.types AS y ON y.user_type_id = c.user_type_id
WHERE t.object_id IN (SELECT OBJECT_ID([table]) FROM #mapped)
    OR t.name LIKE N'customer[_]%' OR t.name LIKE N'order[_]%' OR t.name LIKE N'delivery%' OR t.name LIKE N'invoice%'
    OR t.name LIKE N'%return%' OR t.name LIKE N'%credit%' OR t.name LIKE N'variant[_]%' OR t.name LIKE N'product[_]%'
    OR t.name LIKE N'%ecommerce%' OR t.name LIKE N'%session%' OR t.name LIKE N'system[_]order%'
ORDER BY t.name, c.column_id;
GO

-- Columns that may contain consent, addresses, channels and currencies.
SELECT t.name AS [table], c.name AS [column]
FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id
WHERE c.name LIKE N'%email%'
    OR c.name LIKE N'%gdpr%'
    OR c.name LIKE N'%opt%'
    OR c.name LIKE N'%mail%'
    OR c.name LIKE N'%consent%'
    OR c.name LIKE N'%market%'
    OR c.name LIKE N'%subscri%'
    OR c.name LIKE N'%session%'
    OR c.name LIKE N'%ecommerce%'
    OR c.name LIKE N'%currency%'
ORDER BY t.name, c.name;
GO

-- The table of each prefix.
SELECT t.name AS [table], c.name AS [identity] FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id
WHERE c.is_identity = 1 AND (c.name LIKE N'crli[_]%' OR c.name LIKE N'cda%' OR c.name LIKE N'cset%' OR c.name LIKE N'sot[_]%'
    OR c.name LIKE N'oh%' OR c.name LIKE N'd_[_]%' OR c.name LIKE N'i_[_]%')
ORDER BY t.name;
GO

-- Keys, sizes and triggers.
SELECT t.name AS [table], k.name AS [primary key], c.name AS [column], i.key_ordinal
FROM sys.tables AS t
LEFT JOIN sys.key_constraints AS k ON k.parent_object_id = t.object_id AND k.type = 'PK'
LEFT JOIN sys.index_columns AS i ON i.object_id = t.object_id AND i.index_id = k.unique_index_id
LEFT JOIN sys.columns AS c ON c.object_id = t.object_id AND c.column_id = i.column_id
WHERE t.object_id IN (SELECT OBJECT_ID([table]) FROM #mapped)
ORDER BY t.name, i.key_ordinal;
SELECT t.name AS [table], SUM(p.row_count) AS [rows], SUM(p.used_page_count) / 128 AS mb
FROM sys.tables AS t JOIN sys.dm_db_partition_stats AS p ON p.object_id = t.object_id AND p.index_id IN (0, 1)
WHERE t.object_id IN (SELECT OBJECT_ID([table]) FROM #mapped)
GROUP BY t.name ORDER BY [rows] DESC;
SELECT OBJECT_NAME(parent_id) AS [table], name AS [trigger], is_disabled FROM sys.triggers
WHERE parent_id IN (SELECT OBJECT_ID([table]) FROM #mapped);
GO

-- The statuses, and which order types and statuses are in use.
SELECT [os_id], [os_description] FROM [dbo].[order_status];
SELECT [oh_sot_id], [oh_os_id], COUNT_BIG(*) AS [rows], MIN([oh_datetime]) AS first_seen, MAX([oh_datetime]) AS last_seen
FROM [dbo].[order_header] WITH (READUNCOMMITTED)
GROUP BY [oh_sot_id], [oh_os_id] ORDER BY [oh_sot_id], [oh_os_id];
GO

SELECT N'[dbo].[customer_detail]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [cd_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cd_id],
    100.0 * SUM(CASE WHEN [cd_ow_account] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cd_ow_account],
    100.0 * SUM(CASE WHEN [cd_account_customer] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cd_account_customer],
    100.0 * SUM(CASE WHEN [cd_statement_email] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cd_statement_email],
    100.0 * SUM(CASE WHEN [cd_invoice_email] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cd_invoice_email]
FROM (
    SELECT TOP (100000) [cd_id], [cd_ow_account], [cd_account_customer], [cd_statement_email], [cd_invoice_email]
    FROM [dbo].[customer_detail] WITH (READUNCOMMITTED) ORDER BY [cd_id] DESC
) AS newest;
GO

SELECT N'[dbo].[customer_contact]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [cc_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cc_id],
    100.0 * SUM(CASE WHEN [cc_customer_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cc_customer_id],
    100.0 * SUM(CASE WHEN [cc_email] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cc_email],
    100.0 * SUM(CASE WHEN [cc_first_name] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cc_first_name],
    100.0 * SUM(CASE WHEN [cc_last_name] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cc_last_name],
    100.0 * SUM(CASE WHEN [cc_name] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [cc_name]
FROM (
    SELECT TOP (100000) [cc_id], [cc_customer_id], [cc_email], [cc_first_name], [cc_last_name], [cc_name]
    FROM [dbo].[customer_contact] WITH (READUNCOMMITTED) ORDER BY [cc_id] DESC
) AS newest;
GO

SELECT N'[dbo].[order_header]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [oh_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oh_id],
    100.0 * SUM(CASE WHEN [oh_order_number] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oh_order_number],
    100.0 * SUM(CASE WHEN [oh_datetime] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oh_datetime],
    100.0 * SUM(CASE WHEN [oh_cd_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oh_cd_id],
    100.0 * SUM(CASE WHEN [oh_sot_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oh_sot_id],
    100.0 * SUM(CASE WHEN [oh_os_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oh_os_id]
FROM (
    SELECT TOP (100000) [oh_id], [oh_order_number], [oh_datetime], [oh_cd_id], [oh_sot_id], [oh_os_id]
    FROM [dbo].[order_header] WITH (READUNCOMMITTED) ORDER BY [oh_id] DESC
) AS newest;
GO

SELECT N'[dbo].[order_header_detail]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [ohd_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ohd_id],
    100.0 * SUM(CASE WHEN [ohd_oh_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ohd_oh_id],
    100.0 * SUM(CASE WHEN [ohd_delivery_email] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ohd_delivery_email],
    100.0 * SUM(CASE WHEN [ohd_invoice_email] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ohd_invoice_email],
    100.0 * SUM(CASE WHEN [ohd_c_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ohd_c_id]
FROM (
    SELECT TOP (100000) [ohd_id], [ohd_oh_id], [ohd_delivery_email], [ohd_invoice_email], [ohd_c_id]
    FROM [dbo].[order_header_detail] WITH (READUNCOMMITTED) ORDER BY [ohd_id] DESC
) AS newest;
GO

SELECT N'[dbo].[order_header_total]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [oht_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oht_id],
    100.0 * SUM(CASE WHEN [oht_oh_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oht_oh_id],
    100.0 * SUM(CASE WHEN [oht_net] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oht_net]
FROM (
    SELECT TOP (100000) [oht_id], [oht_oh_id], [oht_net]
    FROM [dbo].[order_header_total] WITH (READUNCOMMITTED) ORDER BY [oht_id] DESC
) AS newest;
GO

SELECT N'[dbo].[order_line_item]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [oli_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oli_id],
    100.0 * SUM(CASE WHEN [oli_oh_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oli_oh_id],
    100.0 * SUM(CASE WHEN [oli_original_oli_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oli_original_oli_id],
    100.0 * SUM(CASE WHEN [oli_vad_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oli_vad_id],
    100.0 * SUM(CASE WHEN [oli_qty_required] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oli_qty_required],
    100.0 * SUM(CASE WHEN [oli_line_net] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [oli_line_net]
FROM (
    SELECT TOP (100000) [oli_id], [oli_oh_id], [oli_original_oli_id], [oli_vad_id], [oli_qty_required], [oli_line_net]
    FROM [dbo].[order_line_item] WITH (READUNCOMMITTED) ORDER BY [oli_id] DESC
) AS newest;
GO

SELECT N'[dbo].[delivery_header]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [dh_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [dh_id],
    100.0 * SUM(CASE WHEN [dh_oh_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [dh_oh_id],
    100.0 * SUM(CASE WHEN [dh_datetime] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [dh_datetime],
    100.0 * SUM(CASE WHEN [dh_consignment_number] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [dh_consignment_number]
FROM (
    SELECT TOP (100000) [dh_id], [dh_oh_id], [dh_datetime], [dh_consignment_number]
    FROM [dbo].[delivery_header] WITH (READUNCOMMITTED) ORDER BY [dh_id] DESC
) AS newest;
GO

SELECT N'[dbo].[order_status]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [os_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [os_id],
    100.0 * SUM(CASE WHEN [os_description] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [os_description]
FROM (
    SELECT TOP (100000) [os_id], [os_description]
    FROM [dbo].[order_status] WITH (READUNCOMMITTED) ORDER BY [os_id] DESC
) AS newest;
GO

SELECT N'[dbo].[product_detail]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [pd_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [pd_id],
    100.0 * SUM(CASE WHEN [pd_product_code] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [pd_product_code],
    100.0 * SUM(CASE WHEN [pd_description] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [pd_description]
FROM (
    SELECT TOP (100000) [pd_id], [pd_product_code], [pd_description]
    FROM [dbo].[product_detail] WITH (READUNCOMMITTED) ORDER BY [pd_id] DESC
) AS newest;
GO

SELECT N'[dbo].[variant_detail]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [vad_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vad_id],
    100.0 * SUM(CASE WHEN [vad_pd_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vad_pd_id],
    100.0 * SUM(CASE WHEN [vad_variant_code] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vad_variant_code],
    100.0 * SUM(CASE WHEN [vad_description] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vad_description],
    100.0 * SUM(CASE WHEN [vad_sale_variant] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vad_sale_variant]
FROM (
    SELECT TOP (100000) [vad_id], [vad_pd_id], [vad_variant_code], [vad_description], [vad_sale_variant]
    FROM [dbo].[variant_detail] WITH (READUNCOMMITTED) ORDER BY [vad_id] DESC
) AS newest;
GO

SELECT N'[dbo].[variant_foreign_price]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [vafp_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vafp_id],
    100.0 * SUM(CASE WHEN [vafp_vad_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vafp_vad_id],
    100.0 * SUM(CASE WHEN [vafp_c_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vafp_c_id],
    100.0 * SUM(CASE WHEN [vafp_rsp_exc_vat] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vafp_rsp_exc_vat],
    100.0 * SUM(CASE WHEN [vafp_price_per] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vafp_price_per],
    100.0 * SUM(CASE WHEN [vafp_base_price] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vafp_base_price]
FROM (
    SELECT TOP (100000) [vafp_id], [vafp_vad_id], [vafp_c_id], [vafp_rsp_exc_vat], [vafp_price_per], [vafp_base_price]
    FROM [dbo].[variant_foreign_price] WITH (READUNCOMMITTED) ORDER BY [vafp_id] DESC
) AS newest;
GO

SELECT N'[dbo].[variant_stock_quantity]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [vasq_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vasq_id],
    100.0 * SUM(CASE WHEN [vasq_vad_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vasq_vad_id],
    100.0 * SUM(CASE WHEN [vasq_free_stock_quantity] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vasq_free_stock_quantity]
FROM (
    SELECT TOP (100000) [vasq_id], [vasq_vad_id], [vasq_free_stock_quantity]
    FROM [dbo].[variant_stock_quantity] WITH (READUNCOMMITTED) ORDER BY [vasq_id] DESC
) AS newest;
GO

SELECT N'[dbo].[category_treeview_node]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [ctn_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ctn_id],
    100.0 * SUM(CASE WHEN [ctn_description] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [ctn_description]
FROM (
    SELECT TOP (100000) [ctn_id], [ctn_description]
    FROM [dbo].[category_treeview_node] WITH (READUNCOMMITTED) ORDER BY [ctn_id] DESC
) AS newest;
GO

SELECT N'[dbo].[variant_category]' AS [null shares in %], COUNT(*) AS [rows],
    100.0 * SUM(CASE WHEN [vac_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vac_id],
    100.0 * SUM(CASE WHEN [vac_vad_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vac_vad_id],
    100.0 * SUM(CASE WHEN [vac_ctn_id] IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS [vac_ctn_id]
FROM (
    SELECT TOP (100000) [vac_id], [vac_vad_id], [vac_ctn_id]
    FROM [dbo].[variant_category] WITH (READUNCOMMITTED) ORDER BY [vac_id] DESC
) AS newest;
GO

SET NOEXEC OFF;
GO
