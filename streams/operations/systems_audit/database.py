"""The captured rows, as far as the audit needs them, in a SQLite database that lives in a temporary file.

In memory they would grow with the shop. Addresses and names are in the file as they are: it is this user's alone, and it is
deleted when the audit ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from streams.mapping import Mapping

_SCHEMA = """
CREATE TABLE people (id INTEGER PRIMARY KEY, customer INTEGER, first TEXT, last TEXT, opted INTEGER, word TEXT,
  unreadable INTEGER);
CREATE TABLE customers (id INTEGER PRIMARY KEY, unreadable INTEGER, excluded INTEGER);
CREATE TABLE addresses (source TEXT, id INTEGER, customer INTEGER, address TEXT, excluded INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, type INTEGER, kind TEXT, status INTEGER, at INTEGER,
  changed INTEGER, excluded INTEGER);
CREATE TABLE details (id INTEGER PRIMARY KEY, ord INTEGER, currency INTEGER, unreadable INTEGER);
CREATE TABLE totals (id INTEGER PRIMARY KEY, ord INTEGER);
CREATE TABLE lines (id INTEGER PRIMARY KEY, ord INTEGER, original INTEGER, variant INTEGER);
CREATE TABLE statuses (id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE products (id INTEGER PRIMARY KEY);
CREATE TABLE variants (id INTEGER PRIMARY KEY, product INTEGER);
CREATE TABLE versions (tab TEXT, id INTEGER, position BLOB, alive INTEGER, PRIMARY KEY (tab, id)) WITHOUT ROWID;
CREATE TABLE house (id INTEGER PRIMARY KEY);
CREATE TABLE known_statuses (text TEXT PRIMARY KEY);
CREATE TABLE known_currencies (id INTEGER PRIMARY KEY);
CREATE INDEX addresses_by_row ON addresses (source, id);
"""

_INDEXES = """
CREATE INDEX addresses_by_address ON addresses (address);
CREATE INDEX orders_by_customer ON orders (customer);
CREATE INDEX details_by_order ON details (ord);
CREATE INDEX totals_by_order ON totals (ord);
CREATE INDEX lines_by_order ON lines (ord);
CREATE INDEX people_by_name ON people (customer, last, first);
"""

_PLACEHOLDERS = (
    "noreply",
    "no-reply",
    "donotreply",
    "test",
    "none",
    "na",
    "n/a",
    "nomail",
    "noemail",
    "no-email",
    "unknown",
    "dummy",
)
_PLACEHOLDER_DOMAINS = ("example.com", "example.org", "test.com", "none.com", "noemail.com", "nomail.com", "email.com.invalid")
_RELAYS = (
    "marketplace.amazon.co.uk",
    "marketplace.amazon.com",
    "marketplace.amazon.de",
    "marketplace.amazon.fr",
    "members.ebay.com",
    "members.ebay.co.uk",
    "privaterelay.appleid.com",
    "relay.firefox.com",
    "duck.com",
    "marketplace.onbuy.com",
)


def is_placeholder(address: str) -> bool:
    """Whether an address stands for none, as people type where a form asks for one."""
    local, _, domain = address.rpartition("@")
    return local in _PLACEHOLDERS or domain in _PLACEHOLDER_DOMAINS or domain.endswith((".invalid", ".test", ".example"))


def is_relay(address: str) -> bool:
    """Whether an address forwards to somebody who hides the real one: a marketplace's, or a mail provider's."""
    domain = address.rpartition("@")[2]
    return domain in _RELAYS or domain.startswith("marketplace.amazon.")


@contextmanager
def audit_database(mapping: Mapping) -> Iterator[sqlite3.Connection]:
    """An empty database, with what the mapping knows."""
    with (
        TemporaryDirectory(prefix="owdd-audit-") as directory,
        closing(sqlite3.connect(Path(directory) / "rows.db")) as database,
    ):
        # Nothing of it outlives the process, so nothing need be safe on disk.
        database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        database.create_function("is_placeholder", 1, is_placeholder, deterministic=True)
        database.create_function("is_relay", 1, is_relay, deterministic=True)
        database.executemany("INSERT INTO house VALUES (?)", [(number,) for number in mapping.house_accounts])
        database.executemany("INSERT INTO known_statuses VALUES (?)", [(text,) for text in mapping.order.statuses])
        database.executemany("INSERT INTO known_currencies VALUES (?)", [(number,) for number in mapping.order.currencies])
        yield database


def add_indexes(database: sqlite3.Connection) -> None:
    """Once all rows are there: kept up to date row by row they would cost more."""
    database.executescript(_INDEXES)
