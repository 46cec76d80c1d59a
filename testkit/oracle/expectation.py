"""Everything that Dotdigital must hold at an instant, from the rows alone."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from streams.mapping import Mapping
from testkit.oracle.erasure import without
from testkit.oracle.exclusions import opted_out_regardless, shared_addresses, without_excluded
from testkit.oracle.expected_contacts import Expected, customer_addresses, expected_contacts, only_of, without_account
from testkit.oracle.expected_records import OrderRecord, order_records
from testkit.oracle.followups import follow_ups
from testkit.oracle.frozen import History, Lost, house_persons_unread, thawed
from testkit.oracle.items import catalogue_records
from testkit.oracle.lists import Membership, recent_buyers
from testkit.oracle.row_reading import Tables


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the account must hold; ``erased`` are addresses of which it must hold nothing (delivery rules §9).

    ``shared`` are addresses of many accounts, or of a person without one: what they hold depends on what was delivered before.
    ``opted_out``: addresses that rows opt out, though the mapping excludes them. ``at``: the instant.
    ``others`` are right too, document by document, where it depends on the order of two tables what is frozen (contact rules
    §2a). So is every name that a variant had, on orders that have it, unless ``newest_names`` are asked for.
    """

    contacts: dict[str, Expected]
    orders: dict[str, list[OrderRecord]]
    catalogue: dict[str, dict[str, Any]]
    recent_buyers: dict[str, Membership]
    follow_ups: dict[str, dict[str, datetime]]
    erased: frozenset[str]
    at: datetime
    shared: frozenset[str] = frozenset()
    opted_out: frozenset[str] = frozenset()
    others: tuple["Expectation", ...] = ()
    newest_names: bool = False

    def one_answer(self) -> "Expectation":
        """Only one of the right answers: to count where another one is given."""
        return replace(self, others=(), newest_names=True)

    def only(self, addresses: Collection[str]) -> "Expectation":
        """What is left when contacts exist for ``addresses`` alone; the rest waits for its contact."""
        mine = {key: [one for one in several if one.owner in addresses] for key, several in self.orders.items()}
        return replace(
            self,
            contacts={email: found for email, found in self.contacts.items() if email in addresses},
            orders={key: several for key, several in mine.items() if several},
            recent_buyers={email: due for email, due in self.recent_buyers.items() if email in addresses},
            follow_ups={email: numbers for email, numbers in self.follow_ups.items() if email in addresses},
            others=tuple(other.only(addresses) for other in self.others),
        )


def expectation(
    tables: Tables, mapping: Mapping, *, at: datetime, erased: Collection[str] = (), history: History | None = None
) -> Expectation:
    """What ``tables`` demand at ``at``, but for those who were erased; ``history``: former versions of rows."""
    gone = frozenset(address.strip().lower() for address in erased)
    unread = house_persons_unread(tables, mapping)
    found, *others = (
        _expectation(thawed(tables, history or {}, mapping, lost=lost), mapping, at, gone, unread) for lost in Lost
    )
    return replace(found, others=tuple(other for other in others if other != found))


def _expectation(tables: Tables, mapping: Mapping, at: datetime, gone: frozenset[str], unread: frozenset[str]) -> Expectation:
    known = without(tables, mapping, gone)
    remaining, out = without_excluded(known, mapping), opted_out_regardless(known, mapping)
    contacts = {
        email: replace(found, consent="out") if email in out else found
        for email, found in expected_contacts(remaining, mapping).items()
    }
    return Expectation(
        contacts=contacts,
        orders=order_records(remaining, mapping),
        catalogue=catalogue_records(remaining, mapping),
        recent_buyers=recent_buyers(contacts, mapping, at),
        follow_ups=follow_ups(remaining, mapping, contacts),
        erased=gone,
        shared=shared_addresses(customer_addresses(remaining, mapping).values(), mapping)
        | (without_account(remaining, mapping) - contacts.keys())
        | only_of(unread, remaining, mapping),
        opted_out=out,
        at=at,
    )
