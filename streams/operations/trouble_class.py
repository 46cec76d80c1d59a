"""Whose matter it is when something is set aside: the class of each cause.

*data*: rows of Orderwise, for marketing operations. *configuration*: connector, mapping or account, for an engineer.
*connectivity*: something cannot be reached. *waiting*: it comes right by itself when the rest arrives.
"""

from enum import StrEnum
from typing import Final

from streams.dotdigital.codes import ErrorClass, explain


class TroubleClass(StrEnum):
    """The four classes, as alerts are routed by them."""

    DATA = "data"
    CONNECTIVITY = "connectivity"
    CONFIGURATION = "configuration"
    WAITING = "waiting"


_DATA_CODES: Final = frozenset(
    {
        "address_unavailable",
        "bad_integer",
        "decimal_out_of_range",
        "integer_out_of_range",
        "line_credited_too_often",
        "change_too_large",
        "null_not_allowed",
        "row_too_large",
        "time_out_of_range",
        "unreadable_address",
        "value_too_large",
    }
)
"""Dead letters that a row itself causes; the other codes speak of connector, mapping or release (``docs/dead-letters.md``)."""

_WAITING_REASONS: Final = frozenset(
    {"order_without_header", "order_without_total", "credit_without_order", "contact_without_customer"}
)
"""Held for a row that may still arrive; so is every reason that ends in ``_not_loaded``."""

_OF_ERRORS: Final = {
    ErrorClass.LATER: TroubleClass.CONNECTIVITY,
    ErrorClass.UNAVAILABLE: TroubleClass.CONNECTIVITY,
    ErrorClass.THROTTLED: TroubleClass.CONNECTIVITY,
    ErrorClass.ACCESS: TroubleClass.CONFIGURATION,
    ErrorClass.MISSING: TroubleClass.CONFIGURATION,
    ErrorClass.EXISTS: TroubleClass.DATA,
    ErrorClass.NOT_FOUND: TroubleClass.DATA,
    ErrorClass.DATA: TroubleClass.DATA,
}


def of_dead_letter(code: str) -> TroubleClass:
    """The class of a dead letter's code."""
    return TroubleClass.DATA if code in _DATA_CODES else TroubleClass.CONFIGURATION


def of_parked(code: str) -> TroubleClass:
    """The class of Dotdigital's code."""
    return _OF_ERRORS[explain(code).error_class]


def of_held(reason: str) -> TroubleClass:
    """The class of the reason for which a document is held or frozen."""
    if reason.startswith("unknown_"):
        return TroubleClass.CONFIGURATION
    return TroubleClass.WAITING if reason in _WAITING_REASONS or reason.endswith("_not_loaded") else TroubleClass.DATA
