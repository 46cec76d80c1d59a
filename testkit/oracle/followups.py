"""The credit notes that Dotdigital gets once (delivery rules §7)."""

from collections import defaultdict
from collections.abc import Collection

from streams.mapping import Mapping
from testkit.oracle.order_facts import classified
from testkit.oracle.recipients import recipients
from testkit.oracle.row_reading import Tables


def follow_ups(tables: Tables, mapping: Mapping, contacts: Collection[str]) -> dict[str, frozenset[str]]:
    """Address to the numbers of its credit notes that must be delivered; ``contacts``: the addresses that have a contact."""
    wanted = mapping.delivery.follow_up
    if wanted is None:
        return {}
    live, _ = classified(tables, mapping)
    owners = recipients(tables, mapping, live)
    found: dict[str, set[str]] = defaultdict(set)
    for credit in live:
        due = credit.kind == "credit" and credit.counts and credit.at is not None and credit.at >= wanted.since
        owner = owners.get(credit.id)
        if due and owner in contacts and owner is not None and credit.number is not None:
            found[owner].add(credit.number)
    return {owner: frozenset(numbers) for owner, numbers in found.items()}
