"""What can be read of the changes of a record without knowing which topic they belong to."""

import msgspec

_encode = msgspec.msgpack.Encoder().encode
_split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class ChangeHead(msgspec.Struct, array_like=True, gc=False):
    """How every change begins, of whatever kind and release."""

    kind: int
    key: str
    pk: int | str


_heads = msgspec.msgpack.Decoder(list[ChangeHead]).decode


def split(value: bytes) -> list[bytes]:
    """The values of records that carry one change each, of whatever kind, in order.

    Raises:
        msgspec.DecodeError: the value is no array.
    """
    return [_encode([change]) for change in _split(value)]


def heads(value: bytes) -> list[ChangeHead]:
    """What can be read of the changes of a record without knowing which topic they belong to.

    Raises:
        msgspec.DecodeError: the value holds no changes.
    """
    return _heads(value)
