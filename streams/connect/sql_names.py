"""Names and texts inside T-SQL: quoted, and refused where quoting would not do."""

import re

from streams.errors import ConfigurationError

_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_$#@]{0,127}")


def identifier(name: str) -> str:
    """``name`` in brackets.

    Raises:
        ConfigurationError: not a regular identifier of SQL Server; nothing else is ever needed, so nothing else gets in.
    """
    if not _REGULAR.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not a regular SQL Server identifier (letters, digits, _ $ # @; at most 128)")
    return f"[{name}]"


def qualified(*names: str) -> str:
    """Identifiers in brackets, joined by dots."""
    return ".".join(identifier(name) for name in names)


def text(value: str) -> str:
    """``value`` as a Unicode literal."""
    return "N'" + value.replace("'", "''") + "'"
