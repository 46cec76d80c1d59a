"""The second opinion: what Dotdigital must hold, computed from the Orderwise rows alone.

Nothing here is shared with the pipeline except the mapping model and the e-mail validator: whole-table dictionaries and
one plain function per rule of ``docs/contact-rules.md``, so that a fault in one of the two shows as a difference.
"""

from streams.oracle.compare import Actual, Difference, compare
from streams.oracle.contacts import Expected, expected_contacts
from streams.oracle.orders import expected_held
from streams.oracle.rows import Row, Tables

__all__ = ["Actual", "Difference", "Expected", "Row", "Tables", "compare", "expected_contacts", "expected_held"]
