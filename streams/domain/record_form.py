"""Records as Dotdigital shows them, written as we write them: so a record that was read back has the digest of what was sent.

The outbox remembers of a delivered record its digest alone. JSON that went through another system has other spaces, other
orders of members and other spellings of one number or time. A record with a property that we do not write is none of ours.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final, TypeAlias

import orjson

from streams.domain.money import money
from streams.domain.order_record import quantity
from streams.domain.times import utc_text

_Write: TypeAlias = Callable[[Any], Any]
Form: TypeAlias = Mapping[str, _Write]
"""How each property is written, in the order in which they stand."""


class _OtherFormError(Exception):
    """A value is none that we write."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _OtherFormError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _OtherFormError
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _OtherFormError
    if not isfinite(value):
        raise _OtherFormError
    # By its shortest text: that is what a float was read from.
    return Decimal(str(value))


def _amount(value: Any) -> orjson.Fragment:
    return money(_decimal(value))


def _quantity(value: Any) -> orjson.Fragment:
    return quantity(_decimal(value))


def _whole(value: Any) -> orjson.Fragment:
    number = _decimal(value)
    if number != number.to_integral_value():
        raise _OtherFormError
    return orjson.Fragment(f"{number:.0f}".encode())


def _time(value: Any) -> str:
    try:
        at = datetime.fromisoformat(_text(value))
    except ValueError:
        raise _OtherFormError from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return utc_text(int(at.timestamp())) if not at.microsecond else _text(value)


def _each(form: Form) -> _Write:
    def write(value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            raise _OtherFormError
        return [_members(one, form) for one in value]

    return write


def _members(found: Any, form: Form) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _OtherFormError
    shown = {name: value for name, value in found.items() if value is not None}
    if not shown.keys() <= form.keys():
        raise _OtherFormError
    return {name: write(shown[name]) for name, write in form.items() if name in shown}


_LINE: Final[Form] = {
    "product_id": _text,
    "parent_id": _text,
    "sku": _text,
    "name": _text,
    "price": _amount,
    "quantity": _quantity,
    "qty": _whole,
    "line_total": _amount,
    "returned_qty": _quantity,
    "refunded": _flag,
}
ORDER: Final[Form] = {
    "id": _text,
    "order_status": _text,
    "purchase_date": _time,
    "first_load": _flag,
    "currency": _text,
    "tax_included": _flag,
    "order_subtotal": _amount,
    "other_total": _amount,
    "refund_total": _amount,
    "order_total": _amount,
    "despatch_date": _time,
    "consignment_number": _text,
    "carrier": _text,
    "return_number": _text,
    "products": _each(_LINE),
}
"""An order's record (:mod:`streams.domain.order_record`)."""
_CATEGORY: Final[Form] = {"id": _text, "name": _text}
ITEM: Final[Form] = {
    "categories": _each(_CATEGORY),
    "currency": _text,
    "id": _text,
    "image_path": _text,
    "name": _text,
    "parent_id": _text,
    "price": _amount,
    "product_code": _text,
    "product_name": _text,
    "sku": _text,
    "stock": _whole,
    "url": _text,
}
"""A catalogue record (:mod:`streams.domain.catalogue`)."""


def written(found: Mapping[str, Any], form: Form) -> bytes | None:
    """The JSON that we would have sent for what Dotdigital shows; None: we never send such a record."""
    try:
        return orjson.dumps(_members(found, form))
    except _OtherFormError:
        return None
