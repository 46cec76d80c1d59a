"""Contacts that may have gone along with their person (contact rules, section 6.1).

Whether one did depends on what Dotdigital had at that moment, so both answers are right: this says where either may be seen.
"""

from collections.abc import Iterable

from streams.mapping import Mapping
from testkit.oracle.addresses import addresses
from testkit.oracle.frozen import History
from testkit.oracle.row_reading import Row, Tables, name, reference


def renames(mapping: Mapping) -> bool:
    """Whether contacts go along; in mode ``external`` they are not ours to name."""
    return mapping.contact.on_move == "rename" and mapping.consent.mode != "external"


def all_moved_here(tables: Tables, history: History, mapping: Mapping) -> frozenset[str]:
    """The addresses to which contacts may have gone along, by every version of every contact row."""
    if not renames(mapping):
        return frozenset()
    now, former = tables.get(mapping.contact.table, {}), history.get(mapping.contact.table, {})
    return frozenset[str]().union(*(moved_here([*versions, now.get(key)], mapping) for key, versions in former.items()))


def moved_here(versions: Iterable[Row | None], mapping: Mapping) -> frozenset[str]:
    """The first addresses that a contact row names after it gave up others, with its name and its account unchanged.

    ``versions``: those of one contact row, oldest first; None: it was deleted. One that followed may follow again.
    """
    found: set[str] = set()
    before: Row | None = None
    for row in versions:
        if before is not None and row is not None and _same_person(before, row, mapping):
            had, has = (addresses(one[mapping.contact.email]) for one in (before, row))
            if has and set(had) - set(has):
                found.add(has[0])
        before = row
    return frozenset(found)


def _same_person(before: Row, row: Row, mapping: Mapping) -> bool:
    columns = mapping.contact
    fields = (columns.first_name, columns.last_name, columns.full_name)
    names = [tuple(name(one[column]) for column in fields) for one in (before, row)]
    account = reference(row[columns.customer])
    same = names[0] == names[1] and any(names[1]) and account == reference(before[columns.customer])
    return same and account not in mapping.house_accounts
