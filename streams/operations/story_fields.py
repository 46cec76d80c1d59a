"""The data fields of a contact, desired beside delivered, each with its rule."""

import json
from decimal import Decimal
from typing import Any

from streams.domain.contact_state import holds_fields
from streams.domain.field_rules import Origin, origins
from streams.domain.field_values import same
from streams.operations.story import FieldLine
from streams.operations.story_material import Material

_EMPTY = "empty"


def field_lines(material: Material) -> list[FieldLine]:
    """All fields of ours, in the order of the mapping; none where the contact has none of them."""
    row = material.delivery.row
    fields: dict[str, Any] | None = None if row is None or row.fields is None else json.loads(row.fields, parse_float=Decimal)
    if fields is None:
        return []
    delivered = _delivered(material, fields)
    found = origins(material.contributions, material.mapping)
    names = material.mapping.contact_fields.model_dump().values()
    return [_line(name, fields, delivered, found[name], material) for name in names]


def _delivered(material: Material, fields: dict[str, Any]) -> dict[str, Any] | None:
    """What Dotdigital has, as it shows it now, or as it took it last; None: that is not known."""
    if material.looked:
        return {} if material.live is None else dict(material.live.profile.fields)
    row = material.delivery.row
    return fields if row is not None and holds_fields(row) else None


def _line(
    name: str, desired: dict[str, Any], delivered: dict[str, Any] | None, origin: Origin, material: Material
) -> FieldLine:
    kept, known = name not in desired, delivered is not None
    value = (delivered or {}).get(name)
    return FieldLine(
        name=name,
        desired="as Dotdigital has it" if kept else text(desired[name]),
        # What is kept was never sent, so only a look shows it.
        delivered=text(value) if known and (material.looked or not kept) else None,
        differs=None if not known or kept else not same(desired[name], value),
        rule=origin.rule,
        origin=", ".join(map(material.buyer_name, origin.buyers)),
    )


def text(value: Any) -> str:
    """A value of a data field as people read it."""
    if value is None or value == "":
        return _EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
