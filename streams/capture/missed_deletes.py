"""The record of a row's deletion that nobody captured, as the connector would have written it."""

from typing import Any

import orjson

from streams.core.errors import RecordError

_WITHOUT_PLACE = {"snapshot": "incremental", "commit_lsn": None, "change_lsn": None, "lsn": None}
"""As a row that a snapshot read without a place in the log: it replaces what came before it in its partition, and every later
change replaces it. The place of the row's last version would not do: after a restore of the database new rows stand lower."""
_SEQUENCE = "[null,null]"
"""PostgreSQL's way to say so; SQL Server's connector leaves the member out, or null."""


def delete_of(value: bytes, now_ms: int) -> bytes | None:
    """The deletion of the row whose newest record has this value; None: that is a deletion already.

    With a Connect schema where the record has one.

    Raises:
        RecordError: ``not_debezium``: the value is no row.
    """
    try:
        message: Any = orjson.loads(value)
        envelope = message["payload"] if "payload" in message and "schema" in message else message
        if envelope is None or envelope["op"] == "d":
            return None
        source = {**envelope["source"], **{name: null for name, null in _WITHOUT_PLACE.items() if name in envelope["source"]}}
        if source.get("sequence") is not None:
            source["sequence"] = _SEQUENCE
        gone = {**envelope, "before": envelope["after"], "after": None, "op": "d", "ts_ms": now_ms, "source": source}
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise RecordError("not_debezium", "the record is no row") from error
    return orjson.dumps(gone if envelope is message else {**message, "payload": gone})
