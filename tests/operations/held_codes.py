"""The codes under which the domain holds documents, read from its source."""

import ast
from pathlib import Path

DOMAIN = Path(__file__).parents[2] / "streams" / "domain"
MODULES = ("orders.py", "order_head.py", "buyers.py", "contact_projection.py", "catalogue.py")


def held_codes_in_the_product() -> set[str]:
    """Every text in those modules that looks like a code and is returned, compared with, or made into a ``Held``."""
    found: set[str] = set()
    for name in MODULES:
        for node in ast.walk(ast.parse((DOMAIN / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_code(node.value):
                found.add(node.value)
    return found


def _is_code(text: str) -> bool:
    starts = ("order_without", "order_too", "unknown_", "status_not", "credit_without", "customer_not", "contact_without")
    others = {"unreadable_address", "address_shared", "price_on_application", "product_not_loaded"}
    return text.startswith((*starts, "variant_without")) or text in others
