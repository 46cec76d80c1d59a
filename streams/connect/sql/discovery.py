"""A survey of the site's tables, from which a mapping is written. It only reads, and shows counts, never personal data."""

from streams.connect.sql.layout import layout
from streams.connect.sql.names import CapturedTable, identifier, mapped_columns, mapped_tables, qualified, text
from streams.mapping import Mapping

_SAMPLE = 100_000

_ABOUT = f"""
Shows the tables of this site, so that the mapping can be corrected before anything is captured. Reads only, and shows no
personal data: names of columns, counts, and the texts of lookups.
Run by: db_datareader with VIEW DEFINITION and VIEW DATABASE STATE; out of hours, because two queries read a whole table.
Null shares are of the newest {_SAMPLE:,} rows. Reads do not wait for writers (READUNCOMMITTED), so counts are nearly exact.
"""

_WORDS = ("email", "gdpr", "opt", "mail", "consent", "market", "subscri", "session", "ecommerce", "currency")

_FAMILIES = r"""
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
"""

_MISSING = """
SELECT [table], [column] AS [mapped, but not in the database] FROM #mapped WHERE COL_LENGTH([table], [column]) IS NULL;
"""

_PREFIXES = """
SELECT t.name AS [table], c.name AS [identity] FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id
WHERE c.is_identity = 1 AND (c.name LIKE N'crli[_]%' OR c.name LIKE N'cda%' OR c.name LIKE N'cset%' OR c.name LIKE N'sot[_]%'
    OR c.name LIKE N'oh%' OR c.name LIKE N'd_[_]%' OR c.name LIKE N'i_[_]%')
ORDER BY t.name;
"""

_KEYS = """
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
"""


def discovery(mapping: Mapping) -> str:
    """The script ``discovery.sql``."""
    tables = mapped_tables(mapping)
    batches = [
        "-- The mapping against the database.\n" + mapped_columns(tables),
        _MISSING,
        "-- Columns and types of the mapped tables and their families." + _FAMILIES,
        "-- Columns that may contain consent, addresses, channels and currencies.\n" + _words(),
        "-- The table of each prefix." + _PREFIXES,
        "-- Keys, sizes and triggers." + _KEYS,
        "-- The statuses, and which order types and statuses are in use.\n" + _lookups(mapping),
        *(_null_shares(table) for table in tables),
    ]
    return layout("discovery", mapping, _ABOUT, batches, reads=True)


def _words() -> str:
    likes = "\n    OR ".join(f"c.name LIKE {text(f'%{word}%')}" for word in _WORDS)
    return (
        "SELECT t.name AS [table], c.name AS [column]\n"
        f"FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id\nWHERE {likes}\nORDER BY t.name, c.name;"
    )


def _lookups(mapping: Mapping) -> str:
    schema, header, status = mapping.source.schema_, mapping.order.header, mapping.order.status
    kind, state, at = identifier(header.type), identifier(header.status), identifier(header.at)
    return (
        f"SELECT {identifier(status.key)}, {identifier(status.text)} FROM {qualified(schema, status.table)};\n"
        f"SELECT {kind}, {state}, COUNT_BIG(*) AS [rows], MIN({at}) AS first_seen, MAX({at}) AS last_seen\n"
        f"FROM {qualified(schema, header.table)} WITH (READUNCOMMITTED)\nGROUP BY {kind}, {state} ORDER BY {kind}, {state};"
    )


def _null_shares(table: CapturedTable) -> str:
    names = [identifier(column) for column in table.columns]
    shares = ",\n".join(
        f"    100.0 * SUM(CASE WHEN {name} IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) AS {name}" for name in names
    )
    return (
        f"SELECT {text(table.name)} AS [null shares in %], COUNT(*) AS [rows],\n{shares}\n"
        f"FROM (\n    SELECT TOP ({_SAMPLE}) {', '.join(names)}\n    FROM {table.name} WITH (READUNCOMMITTED) "
        f"ORDER BY {identifier(table.key)} DESC\n) AS newest;"
    )
