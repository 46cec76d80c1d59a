"""Where in the source's history a row version stands, as bytes that compare in that order.

A position is ``epoch`` (2 bytes) and a place in the database's log (10 bytes), big-endian. Only versions of one row are ever
compared. Between equal positions the order of arrival rules.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from streams.core.errors import RecordError

STREAMED: Final = (None, False, "false")
"""``source.snapshot`` of what came from the log; null unless nulls are replaced by defaults."""

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
    """The position of a PostgreSQL event: the last commit that Debezium had passed on before it.

    What Debezium 3.6 writes, measured on PostgreSQL 17 with pgoutput (``tests/capture/postgres_events.jsonl``):

    * ``sequence`` is JSON text of two LSNs as text. The first is where the last transaction before this one ended that
      changed a captured table; transactions arrive in the order of their commits, so it rises with each of them and is
      the same for all rows of one. It is null until one has been committed after the connector's first start.
    * ``lsn`` of a streamed row is where the change itself stands in the log, and that does not follow the commits: of two
      transactions that overlap, the one that wrote first may be committed last. So it only serves while the first LSN of
      ``sequence`` is null; no position before it is then needed, since of one row the LSNs do rise (row locks).
    * Initial snapshot: ``lsn`` is where the slot became consistent, for all rows; the first LSN of ``sequence`` is null. A
      transaction that was open at that moment has smaller LSNs, and yet arrives after the read and wins: the read comes
      before everything. So when the slot was lost, and with it changes, raise ``source.epoch`` with the new snapshot.
    * Incremental snapshot: ``lsn`` is null, and ``sequence`` as in a streamed change. The read has seen every transaction up
      to that commit; those that it has not seen arrive later, with a higher one (Debezium's watermarks).

    Raises:
        RecordError: ``bad_lsn`` when ``sequence`` or ``lsn`` is not what it should be.
    """
    prefix = epoch.to_bytes(2, "big")
    committed = _last_commit(source.get("sequence"))
    if committed is None:
        if source.get("snapshot") not in STREAMED:
            return prefix + BEFORE_EVERYTHING
        committed = source.get("lsn")
    if type(committed) is not int or not 0 < committed <= _LARGEST_LSN:
        raise RecordError("bad_lsn", "source has no LSN that is a positive number of 63 bits")
    return prefix + committed.to_bytes(10, "big")


def _last_commit(sequence: Any) -> int | None:
    try:
        commit, _ = orjson.loads(sequence)
        return None if commit is None else int(commit)
    except (TypeError, ValueError):
        raise RecordError("bad_lsn", "source.sequence is not JSON text of two LSNs") from None


def just_before(position: bytes) -> bytes:
    """The last position of the same epoch before ``position``; what comes before everything stays there.

    A record that is tried again stands there: it may be any of several versions of a row that one transaction wrote, and a
    later one may have been applied since.
    """
    epoch, place = position[:2], int.from_bytes(position[2:], "big")
    return epoch + max(place - 1, 0).to_bytes(len(BEFORE_EVERYTHING), "big")


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
        raise RecordError("unknown_connector", "this release does not read this source.connector")
    return reader(source, epoch)
