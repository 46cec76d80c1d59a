"""Money as it is sent to Dotdigital: two decimal places, rounded once, digit for digit."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import reduce

import orjson

_CENT = Decimal("0.01")
_NOTHING = Decimal(0)
EXACT = Context(prec=100)
"""Digits enough for sums and products of captured numbers (18 before the point, 40 after it) to be exact, and for a quotient to
be rounded to cents as the exact one would be."""


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, to the last digit; the default context would keep 28."""
    return reduce(EXACT.add, amounts, _NOTHING)


def money(amount: Decimal) -> orjson.Fragment:
    """An amount as an exact JSON number with two decimal places, rounded half up; never a negative zero."""
    # A float could not hold every amount; the digits go out as they are.
    return orjson.Fragment(f"{cents(amount):f}".encode())


def cents(amount: Decimal) -> Decimal:
    """An amount with two decimal places, rounded half up; never a negative zero."""
    rounded = amount.quantize(_CENT, ROUND_HALF_UP, EXACT)
    return rounded or abs(rounded)
