"""A person's own deeds: what of a contact that we created others have made. It is ours to delete only while there is nothing.

``docs/delivery-rules.md`` section 13. In doubt something is somebody else's.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

import orjson

from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED, folded_status
from streams.dotdigital.contact_calls import Profile
from streams.mapping import ContactFields
from streams.messages.deliveries import CreatedAs

_BOUNCED: Final = frozenset({"softbounced", "hardbounced", "nomxrecord"})
"""The mailbox speaks, not the person."""
_BY_THE_PLATFORM: Final = frozenset({"lastsubscribed", "fullname"})
"""Data fields that Dotdigital fills by itself."""


@dataclass(frozen=True, slots=True)
class OwnParts:
    """What of a contact may be ours: names of data fields (lower case), ids of lists; and the account's default values."""

    fields: frozenset[str] = frozenset()
    lists: frozenset[int] = frozenset()
    defaults: Mapping[str, object] = field(default_factory=dict)


def own_fields(names: ContactFields) -> frozenset[str]:
    """The data fields that the site maps, in lower case."""
    return frozenset(str(name).casefold() for name in names.model_dump().values())


def is_foreign_status(status: str, created_as: CreatedAs, *, unsubscribed_by_us: bool) -> bool:
    """Whether somebody else gave a contact its status that we created with another one.

    Bounces are nobody's; an unsubscribe is ours if a call of ours made it; a sign-up that we began may be pending.
    """
    ours = {created_as, *_BOUNCED}
    if created_as == SUBSCRIBED:
        ours.add("pendingoptin")
    if unsubscribed_by_us:
        ours.add(UNSUBSCRIBED)
    return folded_status(status) not in ours


def is_sign_up(status: str) -> bool:
    """Whether a contact of that status has signed up, or is about to confirm that it has."""
    return folded_status(status) in (SUBSCRIBED, "pendingoptin")


def has_signed_up(profile: Profile, status: str, created_as: CreatedAs | None) -> bool:
    """Whether the contact shows a sign-up that is not of our making: then what it says of the person may be the person's."""
    return profile.consent_records or (is_sign_up(status) and created_as != SUBSCRIBED)


def still_as_sent(profile: Profile, sent: bytes | None, names: Collection[str]) -> Iterator[str]:
    """Those of the data fields ``names`` that hold what we sent last; ``sent`` is the JSON of that, None if it is not known."""
    ours = {} if sent is None else orjson.loads(sent)
    shown = {name.casefold(): value for name, value in profile.fields.items()}
    return (name for name in names if ours.get(name) not in (None, "") and shown.get(name.casefold()) == ours[name])


def foreign_parts(profile: Profile, ours: OwnParts) -> Iterator[str]:
    """What others have put on the contact, by kind: for the log."""
    if profile.lists - ours.lists:
        yield "list"
    if profile.consent_records:
        yield "consent record"
    if profile.preferences:
        yield "preference"
    if profile.channels:
        yield "channel"
    if any(_is_foreign(name.casefold(), value, ours) for name, value in profile.fields.items()):
        yield "data field"


def _is_foreign(name: str, value: object, ours: OwnParts) -> bool:
    if name in ours.fields or name in _BY_THE_PLATFORM or value in (None, ""):
        return False
    default = ours.defaults.get(name)
    return default is None or not _is_same(value, default)


def _is_same(value: object, default: object) -> bool:
    """Whether a field has its default, which Dotdigital lists as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            return Decimal(str(value)) == Decimal(str(default))
    return str(value).casefold() == str(default).casefold()
