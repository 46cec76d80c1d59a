"""Expected contacts against a Dotdigital account at rest: every difference, field by field (contract §4 to §6).

What a look at rest cannot show is not checked: whether a contact was created with the right status (only that nobody is
subscribed who never opted in), and whether an unsubscribe moved along to a person's new address.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from streams.mapping import Mapping
from streams.oracle.contacts import Expected, Value

_DATES = ("first_order", "last_order", "last_despatch", "last_refund", "exclude_until")


@dataclass(frozen=True, slots=True)
class Actual:
    """One contact as the account has it; ``fields`` holds its data fields, absent where empty."""

    email: str
    status: str | None
    fields: Dict[str, Any]
    binned: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the rows say; ``field`` is a data field, ``contact`` or ``status``."""

    email: str
    field: str
    expected: object
    actual: object


def compare(
    expected: Dict[str, Expected],
    actual: Iterable[Actual],
    mapping: Mapping,
    *,
    opted_in_ever: Collection[str] = (),
    preexisting: Collection[str] | None = None,
) -> list[Difference]:
    """Every difference, by address.

    Args:
        opted_in_ever: addresses that some version of a row opted in, so that they may have been created subscribed.
        preexisting: addresses that the account had before us. They keep their status and stay, cleared, when the rows
            no longer have them. When given, every other contact that the rows do not have must be gone; when None,
            being cleared is enough.
    """
    ever, before = frozenset(opted_in_ever), None if preexisting is None else frozenset(preexisting)
    live: dict[str, list[Actual]] = defaultdict(list)
    for contact in actual:
        if not contact.binned:
            live[contact.email.strip().lower()].append(contact)

    found: list[Difference] = []
    for email in sorted(expected.keys() | live.keys()):
        if email not in expected:
            for contact in live[email]:
                found += _leftover(email, contact, mapping, before)
        elif len(live[email]) != 1:
            found.append(Difference(email, "contact", "one live contact", f"{len(live[email])} live contacts"))
        else:
            contact = live[email][0]
            found += _fields(email, expected[email], contact, mapping)
            found += _status(email, expected[email], contact, mapping, ever, before or frozenset())
    return found


def _fields(email: str, expected: Expected, contact: Actual, mapping: Mapping) -> list[Difference]:
    held = _folded(contact)
    dates = {getattr(mapping.contact_fields, name) for name in _DATES}
    return [
        Difference(email, name, value, held.get(name.casefold()))
        for name, value in expected.fields.items()
        if not _same(value, held.get(name.casefold()), is_date=name in dates)
    ]


def _status(
    email: str,
    expected: Expected,
    contact: Actual,
    mapping: Mapping,
    opted_in_ever: frozenset[str],
    preexisting: frozenset[str],
) -> list[Difference]:
    if contact.status != "subscribed" or expected.consent == "in":
        return []
    if expected.consent == "out":
        return [Difference(email, "status", "not subscribed: the rows opt out", contact.status)]
    if email in preexisting or (mapping.consent.mode != "none" and email in opted_in_ever):
        return []
    return [Difference(email, "status", "not subscribed: the rows never opted in", contact.status)]


def _leftover(email: str, contact: Actual, mapping: Mapping, preexisting: frozenset[str] | None) -> list[Difference]:
    """A contact whose address the rows do not have."""
    if preexisting is not None and email not in preexisting:
        return [Difference(email, "contact", "none: no row has this address", "a live contact")]
    held = _folded(contact)
    ours = mapping.contact_fields.model_dump().values()
    return [Difference(email, name, None, held[name.casefold()]) for name in ours if held.get(name.casefold()) is not None]


def _folded(contact: Actual) -> dict[str, Any]:
    return {name.casefold(): value for name, value in contact.fields.items()}


def _same(expected: Value, actual: Any, *, is_date: bool) -> bool:
    if expected is None or actual is None:
        return expected is None and actual is None
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, Decimal | int):
        return _number(actual) == expected
    if is_date:
        return _instant(actual) == _instant(expected)
    return isinstance(actual, str) and actual == expected


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _instant(value: Any) -> datetime | None:
    """The instant of an ISO-8601 text; a text without an offset is UTC, as in Dotdigital's replies."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
