"""Times as they are sent to Dotdigital: ISO 8601, UTC, whole seconds."""

from datetime import UTC, datetime

_LAST_SECOND = 253_402_300_799


def utc_text(seconds: int) -> str:
    """UTC epoch seconds as ``YYYY-MM-DDTHH:MM:SSZ``; what lies beyond the year 9999 is its last second."""
    return datetime.fromtimestamp(min(seconds, _LAST_SECOND), UTC).replace(tzinfo=None).isoformat() + "Z"
