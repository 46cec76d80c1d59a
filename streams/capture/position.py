"""Where in the source's history a row version stands, as bytes that compare in that order.

A position is ``epoch`` (2 bytes) and a place in the database's log (10 bytes), big-endian. Only versions of one row are ever
compared. Between equal positions the order of arrival rules.
"""

from collections.abc import Callable
from typing import Any, Final

from streams.errors import RecordError

WIDTH = 12

STREAMED: Final = (None, False, "false")
"""``source.snapshot`` of what came from the log; null unless nulls are replaced by defaults (debezium.md 2.3)."""

BEFORE_EVERYTHING = bytes(10)
"""The place of a row that was read from its table, when nothing says which changes it has seen."""

_LARGEST_LSN = 2**63 - 1


def sqlserver(source: dict[str, Any], epoch: int) -> bytes:
    """The position of a SQL Server event: its commit's LSN, text ``8:8:4`` in lower-case hex, null before CDC's first commit.

    ``change_lsn`` may go down inside a transaction (debezium/debezium PR 1691), so it is not part of a position.

    Raises:
        RecordError: ``bad_lsn`` when the text is not an LSN.
    """
    lsn = source.get("commit_lsn")
    prefix = epoch.to_bytes(2, "big")
    if lsn is None or lsn == "NULL":
        return prefix + BEFORE_EVERYTHING
    if type(lsn) is not str or len(lsn) != 22 or lsn[8] != ":" or lsn[17] != ":":
        raise RecordError("bad_lsn", "source.commit_lsn is not of the form 8:8:4")
    try:
        number = bytes.fromhex(lsn.replace(":", ""))
    except ValueError:
        raise RecordError("bad_lsn", "source.commit_lsn is not hexadecimal") from None
    if len(number) != 10:
        raise RecordError("bad_lsn", "source.commit_lsn is not hexadecimal")
    return prefix + number


def postgres(source: dict[str, Any], epoch: int) -> bytes:
    """The position of a PostgreSQL event: ``lsn`` of a streamed change; for a row that a snapshot read, before everything.

    What Debezium 3.6 writes, measured on PostgreSQL 17 with pgoutput (``tests/capture/postgres_events.jsonl``):

    * Streamed: ``lsn`` is where the change itself stands in the log, so it rises inside a transaction. ``sequence`` is JSON
      text of two numbers as text, the LSN with which the transaction began and ``lsn`` again; null in place of the first
      until one has begun after the snapshot. No member says where the transaction was committed, and ``lsn`` does not
      follow the order of commits: of two transactions that overlap, the one that wrote first may commit last.
    * Of one row the versions still have rising LSNs: whoever changes it next has to wait for the commit of whoever changed
      it last, and a key is free again only after the commit of its delete (row locks, unique index).
    * Initial snapshot: ``lsn`` is the same for all rows, where the slot became consistent. Incremental: ``lsn`` is that of
      the last streamed change. A transaction that was open then has changes with smaller LSNs, which the read did not see
      and which arrive after it. So the LSN of a read says nothing against a streamed one, and the read has to give way;
      rows of two reads are taken in order of arrival.

    When a slot was lost, and with it changes, raise ``source.epoch``: then the rows of the new snapshot win.

    Raises:
        RecordError: ``bad_lsn`` when a streamed change has no LSN.
    """
    prefix = epoch.to_bytes(2, "big")
    if source.get("snapshot") not in STREAMED:
        return prefix + BEFORE_EVERYTHING
    lsn = source.get("lsn")
    if type(lsn) is not int or not 0 < lsn <= _LARGEST_LSN:
        raise RecordError("bad_lsn", "source.lsn is not a positive number of 63 bits")
    return prefix + lsn.to_bytes(10, "big")


POSITIONS: dict[str, Callable[[dict[str, Any], int], bytes]] = {"sqlserver": sqlserver, "postgresql": postgres}
"""How to read a position, by Debezium's ``source.connector``."""


def position_of(source: dict[str, Any], epoch: int) -> bytes:
    """The position of an event from its ``source`` block.

    Raises:
        RecordError: ``unknown_connector`` or what the connector's reader raises.
    """
    connector = source.get("connector")
    reader = POSITIONS.get(connector) if type(connector) is str else None
    if reader is None:
        raise RecordError("unknown_connector", "source.connector is not one that this release reads")
    return reader(source, epoch)
