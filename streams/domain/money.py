"""Money as Dotdigital is told of it: two decimal places, rounded once, digit for digit."""

from decimal import ROUND_HALF_UP, Context, Decimal

import orjson

_CENT = Decimal("0.01")
EXACT = Context(prec=100)
"""Digits enough that a quotient of captured numbers is rounded to cents as the exact one would be."""


def money(amount: Decimal) -> orjson.Fragment:
    """An amount as an exact JSON number with two decimal places, rounded half up; never a negative zero."""
    # A float could not hold every amount; the digits go out as they are.
    return orjson.Fragment(f"{cents(amount):f}".encode())


def cents(amount: Decimal) -> Decimal:
    """An amount with two decimal places, rounded half up; never a negative zero."""
    rounded = amount.quantize(_CENT, ROUND_HALF_UP, EXACT)
    return rounded or abs(rounded)
