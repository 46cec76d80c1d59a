"""Where in the source's history a row version stands, as bytes that compare in that order.

A position is ``epoch`` (2 bytes) and the commit LSN (10 bytes), big-endian. Inside one commit the order of arrival rules:
``change_lsn`` may go down inside a transaction (debezium/debezium PR 1691), so it is not part of a position.
"""

from collections.abc import Callable
from typing import Any

from streams.errors import RecordError

WIDTH = 12

BEFORE_EVERYTHING = bytes(10)
"""The LSN of a row that was read before CDC's first commit."""


def sqlserver(source: dict[str, Any], epoch: int) -> bytes:
    """The position of a SQL Server event: LSN text ``8:8:4`` in lower-case hex, null before CDC's first commit.

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


POSITIONS: dict[str, Callable[[dict[str, Any], int], bytes]] = {"sqlserver": sqlserver}
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
