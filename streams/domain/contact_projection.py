"""One contact: every buyer's part for an address, merged into the content that Dotdigital should hold.

``docs/contact-rules.md`` section 4. The merge is a function of the set of parts, so their order of arrival cannot matter.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from streams.domain.buyers import ERASED, AnyContribution, is_person, is_without_account, name_of, strictest
from streams.domain.consent_answers import combined_answers
from streams.domain.held_reason import HeldReason
from streams.domain.money import EXACT, money
from streams.domain.times import utc_text
from streams.domain.totals import combined
from streams.domain.versioned import Versioned, is_not_older
from streams.mapping import Mapping
from streams.messages.changes import Change, ConsentAnswer, DesiredContact, Totals
from streams.messages.contributions import AddressLeft, BuyerContribution, ContributionExcluded, ContributionHeld

_DAY = 86_400

_MOST_ARRIVALS = 8
MOST_BUYERS = 500
"""Buyers, former ones included, with one address. If more have it, it is a placeholder, and its contact is nobody's."""


class ContactRow(msgspec.Struct, array_like=True, gc=False):
    """The state of one address: what each buyer says about it.

    ``shared``: more buyers than :data:`MOST_BUYERS` had the address, and some are not here. ``held``: why it is not worked
    out, and since when. ``projected``: the contact should exist; ``asked``: an order with the address has asked for that.
    ``out``: a buyer who is not here has opted out; nobody knows when that ends, so it stays.
    """

    parts: dict[str, Versioned[AnyContribution]] = {}
    version: int = 0
    shared: bool = False
    held: HeldReason | None = None
    projected: bool = False
    asked: bool = False
    out: bool = False


def apply(row: ContactRow, change: Change) -> bool:
    """Write one buyer's part; False when it is older than what is there."""
    if not isinstance(change.row, AnyContribution):
        raise TypeError(f"a contact takes parts, not {change.kind.name}")
    buyer = str(change.pk)
    if not is_not_older(row.parts.get(buyer), change.position):
        return False
    if buyer not in row.parts and len(row.parts) >= MOST_BUYERS:
        row.shared = True
        row.out |= not isinstance(change.row, AddressLeft) and change.row.opted is False
    else:
        row.parts[buyer] = Versioned(change.position, change.row)
    return True


def held_code(row: ContactRow, mapping: Mapping) -> str | None:
    """Why the contact cannot be worked out; then what was delivered of it stays."""
    accounts = sum(isinstance(cell.row, BuyerContribution) and not is_person(buyer) for buyer, cell in row.parts.items())
    # An address of many accounts is a shop's placeholder: its contact would be one person with everybody's spend.
    return "address_shared" if row.shared or accounts >= mapping.exclude.shared_by else None


def desired(row: ContactRow, mapping: Mapping) -> DesiredContact:
    """What the contact should look like now; held if one of its buyers cannot be worked out, or some are not here."""
    held = {buyer: cell.row for buyer, cell in row.parts.items() if isinstance(cell.row, ContributionHeld)}
    live = {buyer: cell.row for buyer, cell in row.parts.items() if isinstance(cell.row, BuyerContribution)}
    moved_to, left_at = _departures(row)
    came_from = _arrivals(live) if renames(mapping) else ()
    said = {part.opted for part in live.values()} | {part.opted for part in held.values()}
    if row.out or any(isinstance(cell.row, ContributionExcluded) and cell.row.opted is False for cell in row.parts.values()):
        # An exclusion holds back no opt-out, and no more than that counts of it.
        said.add(False)
    shared, answers = held_code(row, mapping) is not None, _answers(row)
    unreadable = any(part.unreadable for part in live.values()) or any(part.unreadable for part in held.values())
    # Who has no account takes nobody's contact away, and holds up no buyer who has one.
    if shared or (held and not (live and all(map(is_without_account, held)))):
        return DesiredContact(
            None,
            strictest(said),
            moved_to,
            left_at=left_at,
            held=True,
            words=mapping.consent.words,
            came_from=came_from,
            shared=shared,
            answers=answers,
            unreadable=unreadable,
        )
    if not live:
        same, words = renames(mapping) and _is_same_person(row), mapping.consent.words
        return DesiredContact(None, strictest(said), moved_to, left_at=left_at, words=words, same_person=same, answers=answers)
    totals = combined([part.totals for part in live.values()])
    # Sorted: the outbox compares digests, so equal fields must be equal bytes.
    fields = orjson.dumps(merged(live, totals, mapping, list(held.values())), option=orjson.OPT_SORT_KEYS)
    return DesiredContact(
        fields,
        strictest(said),
        moved_to,
        totals.despatched,
        left_at,
        words=mapping.consent.words,
        unread=mapping.consent.mode == "column" and not any(part.person for part in live.values()),
        came_from=came_from,
        answers=answers,
        unreadable=unreadable,
    )


def _answers(row: ContactRow) -> tuple[ConsentAnswer, ...]:
    """What the contact rows of all buyers answer; of those who are not here it is not known."""
    parts = (cell.row for cell in row.parts.values() if not isinstance(cell.row, AddressLeft | None))
    unknown = [ConsentAnswer(0, False)] if row.shared else []
    return combined_answers([*(answer for part in parts for answer in part.answers), *unknown])


def renames(mapping: Mapping) -> bool:
    """Whether a contact goes along when its person changes address; in mode ``external`` contacts are not ours to name."""
    return mapping.contact.on_move == "rename" and mapping.consent.mode != "external"


def _is_same_person(row: ContactRow) -> bool:
    """Whether exactly one person ever left the address for another one, and nobody else has it or had it elsewhere."""
    parts = [cell.row for cell in row.parts.values()]
    if row.shared or not all(isinstance(part, AddressLeft) for part in parts):
        return False
    went = [part for part in parts if isinstance(part, AddressLeft) and part.moved_to is not None]
    return len(went) == 1 and went[0].same_person and not went[0].earlier


def _arrivals(live: dict[str, BuyerContribution]) -> tuple[tuple[str, bytes], ...]:
    """The addresses that people left for this one, the latest first, with the times; of many only the latest."""
    found = {one for part in live.values() for one in part.came_from}
    return tuple(sorted(found, key=lambda one: (one[1], one[0]), reverse=True)[:_MOST_ARRIVALS])


def _departures(row: ContactRow) -> tuple[tuple[str, ...], bytes]:
    """Where people went who had the address, the latest last, and when the latest left."""
    found: list[tuple[bytes, bytes, tuple[str, ...]]] = []
    for cell in row.parts.values():
        match cell.row:
            case AddressLeft(moved_to=str(email), left_at=at, earlier=earlier):
                found.append((at, cell.position, (*earlier, email)))
            case BuyerContribution(moved_to=emails, left_at=at) | ContributionExcluded(moved_to=emails, left_at=at):
                found.append((at, cell.position, emails))
    in_order = [email for *_, emails in sorted(found) for email in emails]
    return tuple(reversed(dict.fromkeys(reversed(in_order)))), max((at for at, *_ in found), default=b"")


def cleared(mapping: Mapping) -> bytes:
    """The content that empties every data field of ours but those that a person may have filled."""
    names = set(mapping.contact_fields.model_dump().values()) - mapping.kept_fields
    return orjson.dumps(dict.fromkeys(names), option=orjson.OPT_SORT_KEYS)


def ranked(parts: dict[str, BuyerContribution]) -> list[BuyerContribution]:
    """Parts in the order of their buyers."""
    return [parts[buyer] for buyer in ranked_buyers(parts)]


def ranked_buyers(parts: dict[str, BuyerContribution]) -> list[str]:
    """Buyers by their last order, latest first; without one last; then accounts before persons, the smaller id first."""

    def rank(item: tuple[str, BuyerContribution]) -> tuple[Any, ...]:
        buyer, part = item
        at, order = part.totals.last or (0, 0)
        tie = (1, 0, buyer) if is_person(buyer) else (0, int(buyer[1:]), "")
        return (part.totals.last is None, -at, -order, *tie)

    return [buyer for buyer, _ in sorted(parts.items(), key=rank)]


def merged(
    parts: dict[str, BuyerContribution], totals: Totals, mapping: Mapping, held: Sequence[ContributionHeld] = ()
) -> dict[str, Any]:
    """Data fields by name, ready for JSON; money as exact JSON numbers, times as UTC text.

    Args:
        parts: at least one part, by buyer key.
        totals: the totals over all parts.
        mapping: the Dotdigital name of each field, and how long after an order the contact counts as a recent buyer.
        held: persons without an account, who name the contact if nobody else does.
    """
    names, order = mapping.contact_fields, ranked(parts)
    first_name, last_name = name_of([*order, *held])
    latest = order[0]
    spend = EXACT.subtract(totals.spend, totals.refunded)
    last_at = totals.last[0] if totals.last else None
    fields = {
        names.first_name: first_name,
        names.last_name: last_name,
        names.account: next((part.account for part in order if part.account), None),
        names.trade: any(part.trade for part in order),
        names.order_count: totals.orders,
        names.total_spend: money(spend),
        names.average_order: money(EXACT.divide(spend, Decimal(totals.paid))) if totals.paid else None,
        names.first_order: _time(totals.first[0] if totals.first else None),
        names.last_order: _time(last_at),
        names.last_order_number: latest.last_number,
        names.last_status: latest.last_status,
        names.last_despatch: _time(totals.despatched),
        names.last_consignment: totals.parcel.consignment if totals.parcel else None,
        names.last_carrier: totals.parcel.carrier if totals.parcel else None,
        names.last_skus: latest.last_skus,
        names.refund_count: totals.refunds,
        names.refund_total: money(totals.refunded),
        names.last_refund: _time(totals.last_refund),
        names.refunded: totals.refunds > 0,
        names.exclude_until: _time(None if last_at is None else last_at + mapping.exclude_days * _DAY),
    }
    kept = mapping.kept_fields
    # A name that held an erased address is emptied whatever the policy.
    return {name: None if value == ERASED else value for name, value in fields.items() if value is not None or name not in kept}


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else utc_text(seconds)
