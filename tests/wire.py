"""Changes of any topic, for tests that look at what was written."""

from functools import reduce
from operator import or_
from typing import Any

import msgspec

from streams.messages.changes import Change
from streams.messages.kinds import CHANGES

_EVERY_KIND: Any = reduce(or_, CHANGES.values())
_decode = msgspec.msgpack.Decoder(list[_EVERY_KIND]).decode


def unpack(value: bytes) -> list[Change]:
    """The changes of one record, of whatever topic."""
    found: list[Change] = list(_decode(value))
    return found
