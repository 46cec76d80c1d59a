"""The second opinion: what Dotdigital must hold, computed from the Orderwise rows alone.

Nothing here is shared with the pipeline except the mapping model and the e-mail validator: whole-table dictionaries and
one plain function per rule of ``docs/contact-rules.md`` and ``docs/delivery-rules.md``, so that a fault in one of the two
shows as a difference.
"""

from streams.oracle.account import Account, Actual, Collection, Event, Record
from streams.oracle.compare import compare
from streams.oracle.contacts import Expected, expected_contacts
from streams.oracle.difference import Difference
from streams.oracle.expectation import Expectation, expectation
from streams.oracle.orders import expected_held
from streams.oracle.rows import Row, Tables

__all__ = [
    "Account",
    "Actual",
    "Collection",
    "Difference",
    "Event",
    "Expectation",
    "Expected",
    "Record",
    "Row",
    "Tables",
    "compare",
    "expectation",
    "expected_contacts",
    "expected_held",
]
