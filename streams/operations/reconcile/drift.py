"""What differs between a delivered row and what Dotdigital shows, by class. Pure.

Only a settled row can differ: one that nothing waits for, and that Dotdigital has not refused. Whatever is on its way, or set
aside, is counted elsewhere. The reader of both sides sees to it that they belong together (``checks.py``).

| class | what it says | put right by |
|---|---|---|
| ``contact_missing`` | wanted and taken once, and nobody is there | creating it |
| ``contact_deleted`` | somebody deleted it in Dotdigital | parking it for a person |
| ``contact_left`` | it left Orderwise, and still shows our data | emptying it, through the brake |
| ``duplicate_person`` | as above, and its person has another address | the same |
| ``fields_stale`` | it shows older values than we sent | sending them |
| ``fields_changed`` | somebody changed our values there | sending ours |
| ``list_place`` | it is not on the recent buyers' list, and should be | joining |
| ``consent`` | our opt-out did not take, or a refusal there is not known here | tightening the looser side |
| ``order_missing`` | the contact lacks an order (partial sync) | storing it |
| ``order_status`` | the order has another status | storing it |
| ``order_content`` | the order differs otherwise | storing it |
| ``order_orphan`` | an order that was removed is there | removing it, through the brake |
| ``item_missing``, ``item_content``, ``item_orphan`` | the same of the catalogue | the same |
| ``follow_up_open`` | a follow-up has waited for too long | nobody: look for what holds it up |
| ``frozen_long`` | a document has been frozen for too long | nobody: repair its rows in Orderwise |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import orjson

from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.readback import OVERLAP
from streams.domain import consent
from streams.domain.consent import Outcome
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.field_values import same
from streams.domain.own_deeds import OwnParts, is_sign_up
from streams.domain.record_form import ITEM, ORDER, written
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState, digest_of
from streams.domain.versioned import version_bytes
from streams.dotdigital.contact_calls import Contact
from streams.messages.drift import Lost

_CLOCKS = 300
"""Seconds by which Dotdigital's clock may differ from ours, and by which a report of an import may be late."""


class Drift(StrEnum):
    """The classes of the table above."""

    CONTACT_MISSING = "contact_missing"
    CONTACT_DELETED = "contact_deleted"
    CONTACT_LEFT = "contact_left"
    DUPLICATE_PERSON = "duplicate_person"
    FIELDS_STALE = "fields_stale"
    FIELDS_CHANGED = "fields_changed"
    LIST_PLACE = "list_place"
    CONSENT = "consent"
    ORDER_MISSING = "order_missing"
    ORDER_STATUS = "order_status"
    ORDER_CONTENT = "order_content"
    ORDER_ORPHAN = "order_orphan"
    ITEM_MISSING = "item_missing"
    ITEM_CONTENT = "item_content"
    ITEM_ORPHAN = "item_orphan"
    FOLLOW_UP_OPEN = "follow_up_open"
    FROZEN_LONG = "frozen_long"


class Others(StrEnum):
    """What is there and not ours to judge: it is counted, and never touched."""

    CONTACTS = "contacts"
    ORDERS = "orders"
    ITEMS = "items"
    LIST_PLACES = "list places"


Cure: TypeAlias = Lost | Literal["refusal", "none"]
"""How dispatch puts a difference right: by what of a delivery it must take for lost, or by a refusal that it must know."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of one task; ``detail`` are names of fields, or the two statuses, and never a value of a person's."""

    task: str
    drift: Drift
    cure: Cure
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """What the comparison must know of the site and its account.

    ``list_id``: the recent buyers' list. ``own``: what of a contact may be ours. ``kept``: fields that people fill too.
    ``statuses``: the words that order records show. ``follow_up_wait``: seconds that a follow-up may wait.
    """

    policy: SitePolicy
    list_id: int | None
    own: OwnParts
    kept: frozenset[str]
    statuses: frozenset[str]
    follow_up_wait: int = 86_400


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is compared (epoch s), and until when every refusal in Dotdigital was read back (None: that is not known)."""

    now: int
    complete_until: int | None = None


def settled(row: ContactDeliveryState | RecordDeliveryState, *, waits: bool) -> bool:
    """Whether what was delivered of the row is what there must be; ``waits``: something is to be sent for it."""
    return not (waits or row.dirty or row.parked is not None or row.outcome_unknown)


def of_contact(
    task: str, row: ContactDeliveryState, found: Contact | None, account: Account, moment: Moment
) -> Iterator[Difference]:
    """What differs in a contact whose row is settled; ``found`` None: nobody is there."""
    if row.erase is not None or row.hash is None:
        return
    if found is None:
        if row.fields is not None:
            gone = row.known or row.vanished
            yield Difference(task, Drift.CONTACT_DELETED if gone else Drift.CONTACT_MISSING, "contact")
        return
    if row.fields is None:
        if still := tuple(_still_ours(found, account)):
            yield Difference(task, Drift.DUPLICATE_PERSON if row.moved_to else Drift.CONTACT_LEFT, "content", still)
    else:
        yield from _in_data(task, row, found, account, moment)
    yield from _in_consent(task, row, found, moment)


def _in_data(task: str, row: ContactDeliveryState, found: Contact, account: Account, moment: Moment) -> Iterator[Difference]:
    wanted = orjson.loads(row.fields or b"{}")
    shown = _shown(found)
    if others := tuple(sorted(name for name, value in wanted.items() if not _holds(value, shown, name, account))):
        # Whoever changed the contact after we wrote to it last is most likely whoever changed our values.
        later = row.sent_at and found.updated > row.sent_at + _CLOCKS
        yield Difference(task, Drift.FIELDS_CHANGED if later else Drift.FIELDS_STALE, "content", others)
    listed = account.list_id is not None and row.listed and account.policy.listed_until(row) > moment.now
    if listed and account.list_id not in found.profile.lists:
        yield Difference(task, Drift.LIST_PLACE, "list place")


def _in_consent(task: str, row: ContactDeliveryState, found: Contact, moment: Moment) -> Iterator[Difference]:
    if moment.complete_until is None or found.updated + OVERLAP >= moment.complete_until:
        # The next reading of all changes may still bring it: who signed up since, or left, is no difference.
        return
    if row.unsubscribed_by_us and is_sign_up(found.email_status):
        yield Difference(task, Drift.CONSENT, "opt-out", (found.email_status,))
    elif consent.refused(found.email_status) and consent.outcome(row.consent) is not Outcome.OUT:
        status, updated = found.email_status, version_bytes(found.updated * 1_000_000)
        created_as = row.creation.explaining(status)
        after = consent.with_observed_status(row.consent, status, updated, created_as, opt_outs_sent=row.opt_out_sent)
        if consent.outcome(after) is Outcome.OUT:
            yield Difference(task, Drift.CONSENT, "refusal", (status,))


def is_list_place_of_others(row: ContactDeliveryState, found: Contact, account: Account, moment: Moment) -> bool:
    """Whether somebody else put the contact on our list: it stays there until they take it off."""
    ours = row.listed or row.join_unconfirmed or account.policy.listed_until(row) > moment.now
    return account.list_id in found.profile.lists and not ours


def of_order(task: str, row: RecordDeliveryState, found: Mapping[str, Any] | None, account: Account) -> Iterator[Difference]:
    """What differs in an order's record whose row is settled, at a contact that is there; ``found`` None: it is not there."""
    drift = _in_record(row, found, written(found, ORDER) if found is not None else None)
    match drift:
        case "missing":
            yield Difference(task, Drift.ORDER_MISSING, "content")
        case "orphan":
            yield Difference(task, Drift.ORDER_ORPHAN, "content")
        case "content":
            assert found is not None
            right = _right_status(row, found, account)
            if right is not None:
                yield Difference(task, Drift.ORDER_STATUS, "content", (str(found.get("order_status", "none"))[:30], right))
            else:
                yield Difference(task, Drift.ORDER_CONTENT, "content")


def of_item(task: str, row: RecordDeliveryState, found: Mapping[str, Any] | None) -> Iterator[Difference]:
    """What differs in a catalogue record whose row is settled; ``found`` None: it is not there."""
    drift = _in_record(row, found, written(found, ITEM) if found is not None else None)
    classes = {"missing": Drift.ITEM_MISSING, "orphan": Drift.ITEM_ORPHAN, "content": Drift.ITEM_CONTENT}
    if drift is not None:
        yield Difference(task, classes[drift], "content")


def of_follow_up(
    task: str, row: FollowUpDeliveryState, contact: ContactDeliveryState | None, account: Account, moment: Moment
) -> Iterator[Difference]:
    """Whether a follow-up has waited for too long."""
    wanted = contact is not None and row.dirty and account.policy.follows_up(row.desired, contact, moment.now)
    if wanted and row.wait.dirty_since // 1000 + account.follow_up_wait < moment.now:
        yield Difference(task, Drift.FOLLOW_UP_OPEN, "none")


def _in_record(
    row: RecordDeliveryState, found: Mapping[str, Any] | None, content: bytes | None
) -> Literal["missing", "orphan", "content"] | None:
    if row.hash is None:
        return None
    if row.hash == GONE:
        return "orphan" if found is not None else None
    if found is None:
        return "missing"
    return None if content is not None and digest_of(content) == row.hash else "content"


def _right_status(row: RecordDeliveryState, found: Mapping[str, Any], account: Account) -> str | None:
    """The status with which the record would be right: nothing else of it differs then. None: there is none."""
    for status in sorted(account.statuses):
        content = written({**found, "order_status": status}, ORDER)
        if content is not None and digest_of(content) == row.hash:
            return status
    return None


def _shown(found: Contact) -> dict[str, object]:
    return {name.casefold(): value for name, value in found.profile.fields.items()}


def _holds(value: object, shown: Mapping[str, object], name: str, account: Account) -> bool:
    found = shown.get(name.casefold())
    if same(value, found):
        return True
    # A field that was emptied may show the account's default.
    return value is None and same(account.own.defaults.get(name.casefold()), found)


def _still_ours(found: Contact, account: Account) -> Iterator[str]:
    shown, kept = _shown(found), {name.casefold() for name in account.kept}
    for name in sorted(account.own.fields - kept):
        if not _holds(None, shown, name, account):
            yield name
