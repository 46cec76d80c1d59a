"""Dotdigital's dates: ISO-8601 in UTC, written with milliseconds and a Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:\d\d)")


def stamp(moment: datetime) -> str:
    """`2024-01-31T09:30:00.000Z`; stamps sort as text in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_instant(text: str) -> datetime | None:
    """The instant in `text`, or None unless it is ISO-8601 with a time and a Z or colon offset."""
    if _INSTANT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
