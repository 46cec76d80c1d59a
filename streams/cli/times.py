"""Times and ages as operators write them, and as commands print them."""

import re
from datetime import UTC, datetime

from streams.core.errors import ConfigurationError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def millis(text: str | None) -> int | None:
    """A time in ISO 8601, UTC unless it says otherwise, as epoch milliseconds.

    Raises:
        ConfigurationError: it is none.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError("not a time; write it as 2026-11-23T14:00", where=text) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def age_ms(text: str, option: str) -> int:
    """An age such as ``12h`` in milliseconds; ``option`` is the option that has it.

    Raises:
        ConfigurationError: it is none.
    """
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise ConfigurationError("write it as 90s, 30m, 12h or 7d", where=f"{option} {text}")
    return int(found[1]) * _UNITS[found[2]] * 1000


def shown_time(at_ms: int) -> str:
    """Epoch milliseconds as UTC text, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
