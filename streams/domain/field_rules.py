"""Which rule gives each data field of a contact its value, and which of its buyers the value comes from.

For people who ask why a contact is as it is. The rules themselves are :func:`streams.domain.contact_projection.merged`; a
test holds the two together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from streams.domain.contact_projection import ranked_buyers
from streams.domain.totals import combined
from streams.mapping import Mapping
from streams.messages.contributions import BuyerContribution

Buyers: TypeAlias = dict[str, BuyerContribution]
"""The buyers of a contact, by key, in the order of their rank."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``words`` for people; ``buyers`` picks those from which the value comes."""

    words: str
    buyers: Callable[[Buyers], list[str]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one field's value comes from: the rule in words, and the keys of the buyers."""

    rule: str
    buyers: list[str]


def _first(test: Callable[[BuyerContribution], object]) -> Callable[[Buyers], list[str]]:
    return lambda buyers: [key for key, one in buyers.items() if test(one)][:1]


def _all(test: Callable[[BuyerContribution], object]) -> Callable[[Buyers], list[str]]:
    return lambda buyers: [key for key, one in buyers.items() if test(one)]


def _latest(time: Callable[[BuyerContribution], int | None]) -> Callable[[Buyers], list[str]]:
    def pick(buyers: Buyers) -> list[str]:
        times = {key: at for key, one in buyers.items() if (at := time(one)) is not None}
        return [max(times, key=lambda key: times[key])] if times else []

    return pick


def _earliest_order(buyers: Buyers) -> list[str]:
    firsts = {key: one.totals.first for key, one in buyers.items() if one.totals.first is not None}
    return [min(firsts, key=lambda key: firsts[key])] if firsts else []


_NAMED = "the first buyer with a name, the one with the latest order first"
_ORDERS = _all(lambda one: one.totals.orders)
_MONEY = _all(lambda one: one.totals.orders or one.totals.refunds)
_REFUNDS = _all(lambda one: one.totals.refunds)
_LATEST_ORDER = _first(lambda one: one.totals.last is not None)


def _latest_parcel(buyers: Buyers) -> list[str]:
    parcels = {key: one.totals.parcel for key, one in buyers.items() if one.totals.parcel is not None}
    latest = combined([one.totals for one in buyers.values()]).parcel
    return [key for key, parcel in parcels.items() if parcel == latest][:1]


RULES: dict[str, Rule] = {
    "first_name": Rule(_NAMED, _first(lambda one: one.first_name or one.last_name)),
    "last_name": Rule(_NAMED, _first(lambda one: one.first_name or one.last_name)),
    "account": Rule("the first buyer that is an account, the one with the latest order first", _first(lambda one: one.account)),
    "trade": Rule("true if any account is a credit account", _all(lambda one: one.trade)),
    "order_count": Rule("all orders of all buyers that are not cancelled", _ORDERS),
    "total_spend": Rule("net of all orders that are not cancelled, less credit notes", _MONEY),
    "average_order": Rule("total spend divided by the number of orders", _MONEY),
    "first_order": Rule("the earliest order of all buyers", _earliest_order),
    "last_order": Rule("the latest order of all buyers", _LATEST_ORDER),
    "last_order_number": Rule("number of the latest order", _LATEST_ORDER),
    "last_status": Rule("status of the latest order", _LATEST_ORDER),
    "last_skus": Rule("items of the latest order", _LATEST_ORDER),
    "last_despatch": Rule("the latest despatch of all orders", _latest(lambda one: one.totals.despatched)),
    "last_consignment": Rule("number of the latest parcel", _latest_parcel),
    "last_carrier": Rule("carrier of the latest parcel", _latest_parcel),
    "refund_count": Rule("all credit notes that are not cancelled", _REFUNDS),
    "refund_total": Rule("net of all credit notes", _REFUNDS),
    "last_refund": Rule("the latest credit note", _latest(lambda one: one.totals.last_refund)),
    "refunded": Rule("true if there is any credit note", _REFUNDS),
    "exclude_until": Rule("the latest order and the days that the mapping gives (exclude_days)", _LATEST_ORDER),
}
"""The rule of each value of :class:`streams.mapping.model.ContactFields`."""


def origins(parts: Buyers, mapping: Mapping) -> dict[str, Origin]:
    """Where the value of each data field comes from, by its name in Dotdigital; ``parts``: what the buyers contribute."""
    ordered = {buyer: parts[buyer] for buyer in ranked_buyers(parts)}
    names = mapping.contact_fields.model_dump()
    return {names[value]: Origin(rule.words, rule.buyers(ordered)) for value, rule in RULES.items()}
