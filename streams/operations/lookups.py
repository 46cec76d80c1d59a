"""By what people look for rows of each table: orders and accounts by number, contacts by the keyed hash in a page's address."""

from collections.abc import Callable

import msgspec

from streams.capture import rows
from streams.dispatch.outbox.tasks import Family
from streams.domain.versioned import Versioned
from streams.engine.row_index import Lookup


class _Order(msgspec.Struct, array_like=True, gc=False):
    """The beginning of an order's row: the rest of it is not decoded."""

    header: Versioned[rows.Header] | None = None


class _Buyer(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a buyer's row."""

    customer: Versioned[rows.Customer] | None = None


_order = msgspec.msgpack.Decoder(_Order).decode
_buyer = msgspec.msgpack.Decoder(_Buyer).decode


def lookup_of(table: str, hash_key: bytes) -> Lookup | None:
    """The lookup of a table of state; None: nobody looks for its rows."""
    prefix, term = _TERMS.get(table, (b"", None))
    return None if term is None else Lookup(prefix, term, hash_key)


def number_term(number: str) -> str:
    """What an order or account is found by: people write numbers in any case."""
    return number.strip().casefold()


def _readable(term: Callable[[bytes, bytes], str | None]) -> Callable[[bytes, bytes], str | None]:
    """A row that cannot be read is found by nothing: whoever changes it is dead-lettered, but its partition must open."""

    def found(key: bytes, value: bytes) -> str | None:
        try:
            return term(key, value)
        except msgspec.MsgspecError:
            return None

    return found


@_readable
def _order_number(_: bytes, value: bytes) -> str | None:
    header = _order(value).header
    return _term(None if header is None or header.row is None else header.row.number)


@_readable
def _account(_: bytes, value: bytes) -> str | None:
    customer = _buyer(value).customer
    return _term(None if customer is None or customer.row is None else customer.row.account)


def _term(number: str | None) -> str | None:
    return number_term(number or "") or None


def _address(key: bytes, _: bytes) -> str:
    return key[1:].decode()


_TERMS = {
    "orders": (b"o", _order_number),
    "buyers": (b"b", _account),
    "contacts": (b"c", _address),
    "outbox": (Family.CONTACT.encode(), _address),
}
