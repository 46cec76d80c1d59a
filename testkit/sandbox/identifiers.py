"""Identifiers of a contact, and how each kind is stored.

E-mails are kept in lower case and mobile numbers without their plus sign, as Dotdigital's connectors record.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from testkit.sandbox.error_replies import invalid_id

CONTACT_ID = "contactId"
EMAIL = "email"
MOBILE = "mobileNumber"

_KIND = re.compile(r"[-A-Za-z0-9_]{1,50}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_MOBILE = re.compile(r"\+?([1-9]\d{6,14})", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_MAX_VALUE = 256


def normalise(kind: str, value: object, custom: Collection[str]) -> str:
    """`value` as it is stored for `kind`. Raises ApiError 400 `contacts:invalidId`, also for an unknown kind."""
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_VALUE or _KIND.fullmatch(kind) is None:
        raise invalid_id(kind, value)
    if kind == EMAIL and _EMAIL.fullmatch(value):
        return value.lower()
    if kind == MOBILE and (number := _MOBILE.fullmatch(value)):
        return number[1]
    if (kind == CONTACT_ID and _NUMBER.fullmatch(value)) or kind in custom:
        return value
    raise invalid_id(kind, value)
