"""The credit notes that Dotdigital gets once (delivery rules §7)."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from streams.mapping import Mapping
from testkit.oracle.order_facts import classified
from testkit.oracle.recipients import recipients
from testkit.oracle.row_reading import Tables, rounded


def follow_ups(tables: Tables, mapping: Mapping, contacts: Collection[str]) -> dict[str, dict[str, datetime]]:
    """Address to its credit notes that have a follow-up while they are young enough: their numbers, and when they were made.

    ``contacts``: the addresses that have a contact.
    """
    wanted = mapping.delivery.follow_up
    if wanted is None:
        return {}
    live, _ = classified(tables, mapping)
    owners = recipients(tables, mapping, live)
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    for credit in live:
        due = credit.kind == "credit" and credit.counts and rounded(credit.net) >= wanted.smallest
        owner, at = owners.get(credit.id), credit.at
        if due and at is not None and at >= wanted.since and owner in contacts and owner is not None and credit.number:
            found[owner][credit.number] = at
    return dict(found)
