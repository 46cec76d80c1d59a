"""The position of a row version in the source's history, as bytes that compare in the order of that history.

A position is ``epoch`` (2 bytes) and a place in the database's log (10 bytes), both big-endian, so that bytes compare like the
numbers. The epoch comes first: after a database was restored or replaced, its log starts again at lower places, and a raised
``source.epoch`` puts all of it after everything older.

Versions of one row are compared, and, while a status text is unknown, a header with the version that took the text away.
Between equal positions the order of arrival decides: one transaction may write a row several times, Kafka keeps the order of a
key within its partition, and a replay repeats the same rows in the same order.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from streams.core.errors import RecordError

STREAMED: Final = (None, False, "false")
"""Values of ``source.snapshot`` for a streamed change.

The connector leaves the member unset. It reads ``"false"`` if the converter replaces nulls by defaults, and null if not.
"""

BEFORE_EVERYTHING = bytes(10)
"""The place of a row that a snapshot read when no LSN is known: any streamed change of the row is newer."""

_LARGEST_LSN = 2**63 - 1


def sqlserver(source: dict[str, Any], epoch: int) -> bytes:
    """The position of a SQL Server event: the LSN of its commit.

    ``source.commit_lsn`` is text of the form ``8:8:4`` in hexadecimal digits. It is null, or the text ``NULL``, in the rows of
    a snapshot that began before CDC's first commit. ``change_lsn`` is not part of a position, because it may decrease within a
    transaction (debezium/debezium PR 1691). A row of a snapshot carries the highest LSN at the snapshot's start, so a change
    that the snapshot has read, but CDC had not yet harvested, arrives again with a higher one; applying it again is harmless.

    Raises:
        RecordError: ``bad_lsn`` if the text is not an LSN.
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
    # ``fromhex`` ignores blanks, so text of the right length may give too few bytes.
    if len(number) != 10:
        raise RecordError("bad_lsn", "source.commit_lsn is not hexadecimal")
    return prefix + number


def postgres(source: dict[str, Any], epoch: int) -> bytes:
    """The position of a PostgreSQL event: the last commit that Debezium had emitted before it.

    The format of Debezium 3.6, measured on PostgreSQL 17 with pgoutput (``tests/capture/postgres_events.jsonl``):

    * ``sequence`` is JSON text of two LSNs as text. The first is the end of the last transaction before this one that changed
      a captured table. Transactions arrive in the order of their commits, so it rises with each of them and is the same for
      all rows of one. It is null until a transaction has been committed after the connector's first start.
    * ``lsn`` of a streamed row is the place of the change itself, and that does not follow the commits: of two overlapping
      transactions, the one that wrote first may be committed last. So it is used only while the first LSN of ``sequence`` is
      null. That is enough, because the LSNs of one row do rise (row locks).
    * Initial snapshot: ``lsn`` is the place where the slot became consistent, for all rows; the first LSN of ``sequence`` is
      null. A transaction that was open at that moment has smaller LSNs, but arrives after the read and must win. So the read
      comes before everything. If the slot was lost, and changes with it, raise ``source.epoch`` with the new snapshot.
    * Incremental snapshot: ``lsn`` is null, and ``sequence`` is as in a streamed change. The read has seen every transaction
      up to that commit; the others arrive later, with a higher one (Debezium's watermarks).

    Raises:
        RecordError: ``bad_lsn`` if ``sequence`` or ``lsn`` has another form.
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
    """The last position of the same epoch before ``position``; the position before everything has none and stays.

    A dead letter that is replayed gets this position. One transaction may have written several versions of its row with equal
    positions, and a later one may have been applied since; the replayed version must not win by arriving last.
    """
    epoch, place = position[:2], int.from_bytes(position[2:], "big")
    return epoch + max(place - 1, 0).to_bytes(len(BEFORE_EVERYTHING), "big")


def shown(position: bytes, connector: str) -> str:
    """A position as the database's own tools print it, with the epoch before it if that is not 0."""
    epoch, place = int.from_bytes(position[:2], "big"), position[2:]
    digits = place.hex()
    if place == BEFORE_EVERYTHING:
        text = "snapshot"
    elif connector == "sqlserver":
        text = f"{digits[:8]}:{digits[8:16]}:{digits[16:]}"
    else:
        number = int.from_bytes(place, "big")
        text = f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"
    return f"epoch {epoch}, {text}" if epoch else text


POSITIONS: dict[str, Callable[[dict[str, Any], int], bytes]] = {"sqlserver": sqlserver, "postgresql": postgres}
"""The reader of positions for each value of Debezium's ``source.connector``."""


def position_of(source: dict[str, Any], epoch: int) -> bytes:
    """The position of an event from its ``source`` block.

    Raises:
        RecordError: ``unknown_connector``, or the error of the connector's reader. Positions of different databases cannot be
            compared, so there is no default.
    """
    connector = source.get("connector")
    reader = POSITIONS.get(connector) if type(connector) is str else None
    if reader is None:
        raise RecordError("unknown_connector", "this release does not read this source.connector")
    return reader(source, epoch)
