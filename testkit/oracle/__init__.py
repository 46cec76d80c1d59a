"""The second opinion: what Dotdigital must hold, computed from the Orderwise rows alone.

Nothing here is shared with the pipeline except the mapping model and the e-mail validator: whole-table dictionaries and
one plain function per rule of ``docs/contact-rules.md`` and ``docs/delivery-rules.md``, so that a fault in one of the two
shows as a difference. Start with ``account.py`` (the result), then ``order_facts.py``.
"""

from testkit.oracle.account import Account, Actual, Collection, Event, Record
from testkit.oracle.compare import compare
from testkit.oracle.difference import Difference
from testkit.oracle.expectation import Expectation, expectation
from testkit.oracle.expected_contacts import Expected, expected_contacts
from testkit.oracle.items import priced_on_application
from testkit.oracle.order_facts import expected_held
from testkit.oracle.recipients import orders_of_nobody, orders_of_the_staying
from testkit.oracle.row_reading import Row, Tables

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
    "orders_of_nobody",
    "orders_of_the_staying",
    "priced_on_application",
]
