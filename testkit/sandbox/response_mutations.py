"""Replies that are right but not what a strict client expects: other casing, members that nobody knows.

Both are known from the field. Reads and writes of one enumeration differ in case, report codes are documented in
Pascal case and shown in camel case, an import's success is called `Finished` or `Complete`, and clients with strict
member lists broke when a report gained one (Dotdigital specifications against its SDK and connectors).
"""

from __future__ import annotations

from typing import Any

from starlette.types import Message

from testkit.sandbox.codec import BadJsonError, dumps, loads
from testkit.sandbox.faults import CASING, EXTRA_MEMBERS

_ENUMERATIONS = frozenset(("emailType", "failureCode", "failureReason", "optInType", "ownerType", "status"))
_STORED = frozenset(("dataFields", "identifiers", "json"))
_OTHER_WORDS = {"Finished": "Complete", "Duplicate": "duplicateIdentifier"}
_EXTRA = {"addedLater": {"by": "sandbox"}}


def apply(fault: str | None, held: list[Message]) -> list[Message]:
    """The messages of a reply as `fault` leaves them; a reply without a JSON body stays as it is."""
    if fault not in (CASING, EXTRA_MEMBERS):
        return held
    try:
        value = loads(b"".join(message.get("body", b"") for message in held[1:]))
    except BadJsonError:
        return held
    body = dumps(_recase(value) if fault == CASING else _extend(value))
    headers = [(name, content) for name, content in held[0]["headers"] if name != b"content-length"]
    start = {**held[0], "headers": [*headers, (b"content-length", str(len(body)).encode())]}
    return [start, {"type": "http.response.body", "body": body}]


def _recase(value: Any) -> Any:
    """`value` with the first letter of every enumerated word in the other case; what clients stored stays as it is."""
    if isinstance(value, list):
        return [_recase(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: item if name in _STORED else _member(name, item) for name, item in value.items()}


def _member(name: str, item: Any) -> Any:
    return _other(item) if name in _ENUMERATIONS and isinstance(item, str) else _recase(item)


def _other(word: str) -> str:
    return _OTHER_WORDS.get(word, word[:1].swapcase() + word[1:])


def _extend(value: Any) -> Any:
    if isinstance(value, list):
        return [_extend(item) for item in value]
    return {**value, **_EXTRA} if isinstance(value, dict) else value
