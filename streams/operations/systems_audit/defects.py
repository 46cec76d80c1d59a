"""What the audit looks for: one question to the database for each defect, which answers with the rows that have it."""

from dataclasses import dataclass
from typing import Final, Literal

HOUSE_LEAST_ORDERS = 20
"""An account with so many orders, of which at least half name different addresses, is taken for a house account."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of defect.

    ``query`` gives for each offender what it is (a table's role), its id, and the address or text by which a person knows it.
    """

    code: str
    title: str
    severity: Literal["harm", "look"]
    advice: str
    query: str


_LIVE = "o.kind IN ('order', 'credit')"

RULES: Final = (
    Rule(
        "duplicate_address",
        "People with the same address",
        "look",
        "They are one contact in Dotdigital. Merge them in Orderwise, or their names and consents compete.",
        """SELECT 'contact', id, address FROM addresses WHERE source = 'contact' AND address IN
             (SELECT address FROM addresses WHERE source = 'contact' GROUP BY address HAVING count(DISTINCT id) > 1)""",
    ),
    Rule(
        "duplicate_name",
        "People of one account with the same name",
        "look",
        "They get each mail twice, at different addresses. Merge them in Orderwise. (Postcodes are not captured.)",
        """SELECT 'contact', p.id, p.first || ' ' || p.last FROM people p JOIN
             (SELECT customer, first, last FROM people WHERE first IS NOT NULL AND last IS NOT NULL AND customer IS NOT NULL
              GROUP BY customer, first, last HAVING count(*) > 1) d
           ON p.customer = d.customer AND p.first = d.first AND p.last = d.last""",
    ),
    Rule(
        "unreadable_address",
        "E-mail fields that name no address for certain",
        "harm",
        "These people get nothing. Correct the field in Orderwise.",
        """SELECT 'contact', id, '' FROM people WHERE unreadable UNION ALL
           SELECT 'customer', id, '' FROM customers WHERE unreadable UNION ALL
           SELECT 'order', ord, '' FROM details WHERE unreadable""",
    ),
    Rule(
        "shared_address",
        "Addresses of several accounts",
        "look",
        "One contact has the orders of all of them. If the address is nobody's own, exclude it in the mapping.",
        """SELECT DISTINCT 'customer', customer, address FROM addresses WHERE source <> 'order' AND customer IS NOT NULL
             AND address IN (SELECT address FROM addresses WHERE source <> 'order' AND customer IS NOT NULL
                             GROUP BY address HAVING count(DISTINCT customer) > 1)""",
    ),
    Rule(
        "placeholder_address",
        "Placeholders instead of addresses",
        "harm",
        "Mails to them bounce and cost reputation. Empty the field in Orderwise, or exclude the address in the mapping.",
        "SELECT source, id, address FROM addresses WHERE is_placeholder(address)",
    ),
    Rule(
        "relay_address",
        "Addresses of marketplaces and relays",
        "look",
        "A marketplace forbids marketing to them. Exclude their domains in the mapping.",
        "SELECT source, id, address FROM addresses WHERE is_relay(address)",
    ),
    Rule(
        "house_account",
        "House accounts that the mapping does not list",
        "harm",
        "All web orders of one account count for one buyer. List it under house_accounts, and rebuild.",
        f"""SELECT 'customer', o.customer, count(*) || ' orders' FROM orders o
             LEFT JOIN addresses a ON a.source = 'order' AND a.customer = o.id
             WHERE o.kind = 'order' AND o.customer NOT IN (SELECT id FROM house)
             GROUP BY o.customer
             HAVING count(DISTINCT o.id) >= {HOUSE_LEAST_ORDERS} AND 2 * count(DISTINCT a.address) >= count(DISTINCT o.id)""",  # noqa: S608
    ),
    Rule(
        "order_without_customer",
        "Orders whose customer is missing",
        "harm",
        "They count for nobody. Give the order its customer, or snapshot the customers' table.",
        f"""SELECT 'order', o.id, '' FROM orders o LEFT JOIN customers c ON c.id = o.customer
             WHERE {_LIVE} AND c.id IS NULL""",  # noqa: S608
    ),
    Rule(
        "order_without_total",
        "Orders without a total",
        "harm",
        "They are held: nobody knows what they are worth. Snapshot the totals' table.",
        f"SELECT 'order', o.id, '' FROM orders o WHERE {_LIVE} AND NOT EXISTS (SELECT 1 FROM totals t WHERE t.ord = o.id)",  # noqa: S608
    ),
    Rule(
        "credit_without_order",
        "Credit notes with a line that credits no order",
        "look",
        "They reduce no order's total, only the buyer's. Refer each line to the order's in Orderwise.",
        """SELECT DISTINCT 'order', o.id, '' FROM orders o JOIN lines l ON l.ord = o.id LEFT JOIN lines c ON c.id = l.original
             WHERE o.kind = 'credit' AND c.id IS NULL""",
    ),
    Rule(
        "unknown_type",
        "Orders of a type that the mapping does not know",
        "harm",
        "They are held. Add the type to order.types.",
        "SELECT 'order', id, coalesce(type, 'none') FROM orders WHERE kind IS NULL",
    ),
    Rule(
        "unknown_status",
        "Orders with a status that the mapping does not know",
        "harm",
        "They are held, or frozen. Add the status to order.statuses.",
        f"""SELECT 'order', o.id, coalesce(s.text, 'no row ' || coalesce(o.status, '')) FROM orders o
             LEFT JOIN statuses s ON s.id = o.status LEFT JOIN known_statuses k ON k.text = s.text
             WHERE {_LIVE} AND k.text IS NULL""",  # noqa: S608
    ),
    Rule(
        "unknown_currency",
        "Orders in a currency that the mapping does not know",
        "harm",
        "They are held. Add the currency to order.currencies.",
        """SELECT 'order', ord, currency FROM details WHERE currency IS NOT NULL
             AND currency NOT IN (SELECT id FROM known_currencies)""",
    ),
    Rule(
        "unknown_consent",
        "People with a consent word that the mapping does not know",
        "harm",
        "They count as without consent. Add the word to consent.opted_in or opted_out.",
        "SELECT 'contact', id, word FROM people WHERE word IS NOT NULL AND word <> '' AND opted IS NULL",
    ),
    Rule(
        "line_without_variant",
        "Order lines whose item is missing",
        "look",
        "The record of the order shows no SKU for them. Snapshot the variants' table, if the item exists.",
        """SELECT 'line', l.id, l.variant FROM lines l WHERE l.variant IS NOT NULL AND l.variant <> 0
             AND NOT EXISTS (SELECT 1 FROM variants v WHERE v.id = l.variant)""",
    ),
    Rule(
        "variant_without_product",
        "Variants whose product is missing",
        "look",
        "They are not in the catalogue. Snapshot the products' table.",
        """SELECT 'variant', v.id, '' FROM variants v
             WHERE NOT EXISTS (SELECT 1 FROM products p WHERE p.id = v.product)""",
    ),
    Rule(
        "order_from_the_future",
        "Orders that were placed after their row was written",
        "look",
        "Many by whole hours: source.timezone of the mapping is another zone than the server's.",
        f"SELECT 'order', o.id, '' FROM orders o WHERE {_LIVE} AND o.at > o.changed + 600",  # noqa: S608
    ),
)
"""All kinds of defect, those of people first."""
