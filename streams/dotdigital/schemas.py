"""The types of our records' properties, and their conflicts with the types that a collection has already.

The first record fixes a property's type until the whole collection is deleted, even if another system wrote that record. If it
wrote a number as text, or a date without a zone, our values are refused or useless from then on. The properties are those of
``docs/delivery-rules.md`` sections 4 and 5.
"""

from collections.abc import Iterator
from typing import Final

from streams.dotdigital.insight import Property

_TEXT, _NUMBER, _WHOLE, _TIME, _RECORD = "STRING", "FLOAT", "INTEGER", "TIMESTAMP", "RECORD"
_KNOWN: Final = frozenset({_TEXT, _NUMBER, _WHOLE, _TIME, _RECORD, "BOOLEAN"})


def _all(kind: str, *names: str) -> tuple[Property, ...]:
    return tuple(Property(name, kind, repeated=False) for name in names)


ORDERS: Final = (
    *_all(_TEXT, "id", "order_status", "currency", "return_number"),
    *_all(_TIME, "purchase_date", "despatch_date"),
    *_all(_NUMBER, "order_subtotal", "refund_total", "order_total"),
    Property(
        "products",
        _RECORD,
        repeated=True,
        fields=(
            *_all(_TEXT, "product_id", "parent_id", "sku", "name"),
            *_all(_NUMBER, "price"),
            *_all(_WHOLE, "qty"),
        ),
    ),
)
"""The properties of an order's record."""

CATALOGUE: Final = (
    *_all(_TEXT, "id", "sku", "name", "currency", "parent_id", "product_code", "product_name", "url", "image_path"),
    *_all(_NUMBER, "price"),
    *_all(_WHOLE, "stock"),
    Property("categories", _RECORD, repeated=True, fields=_all(_TEXT, "id", "name")),
)
"""The properties of a catalogue item's record."""


def type_conflicts(wanted: tuple[Property, ...], found: tuple[Property, ...], path: str = "") -> Iterator[str]:
    """Descriptions of the properties that cannot hold our values, such as ``order_total is STRING, not FLOAT``.

    A property with a type that is not documented is not reported: Dotdigital accepts or refuses its values.
    """
    held = {field.name.casefold(): field for field in found}
    for field in wanted:
        there = held.get(field.name.casefold())
        if there is None or there.type not in _KNOWN:
            continue
        if (_family(there.type), there.repeated) != (_family(field.type), field.repeated):
            yield f"{path}{field.name} is {_shown(there)}, not {_shown(field)}"
        else:
            yield from type_conflicts(field.fields, there.fields, f"{path}{field.name}.")


def _family(kind: str) -> str:
    """Whole and fractional numbers are one type: a first price of exactly 10 must not pass for a conflict."""
    return _NUMBER if kind == _WHOLE else kind


def _shown(field: Property) -> str:
    return f"REPEATED {field.type}" if field.repeated else field.type
