"""Rows as the oracle reads them: whole tables, and the columns of one row by value kind (contact rules §1)."""

import html
import re
import unicodedata
from collections.abc import Mapping as Dict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from streams.mapping import Mapping

Row = Dict[str, Any]
"""One row: column name to value, encoded as in a Debezium event (decimals and times are strings)."""

Tables = Dict[str, Dict[str, Row]]
"""Table name to primary key (as text) to row."""

EXACT = Context(prec=60)
_CENT = Decimal("0.01")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock without a zone


def rows(tables: Tables, table: str, key: str) -> list[Row]:
    """All rows of ``table``, lowest key first; a table that the snapshot lacks is empty."""
    return sorted(tables.get(table, {}).values(), key=lambda row: int(row[key]))


def reference(value: Any) -> int | None:
    """A foreign key; ``NULL`` and ``0`` are both none."""
    if value is None or value == "":
        return None
    return int(value) or None


def text(value: Any) -> str | None:
    """Text without surrounding white space; empty is none."""
    return None if value is None else str(value).strip() or None


def name(value: Any) -> str | None:
    """A name: whole entities decoded once, control characters blank if they are white space and else gone, trimmed."""
    if value is None:
        return None
    entity = r"&(#\d{1,7}|#[xX][\da-fA-F]{1,6}|[a-zA-Z][a-zA-Z\d]{1,31});"
    decoded = re.sub(entity, lambda found: html.unescape(found.group()), str(value))
    shown = (" " if c in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85" else c for c in decoded)
    return text("".join(c for c in shown if unicodedata.category(c) != "Cc"))


def flag(value: Any) -> bool:
    """A bit column, or one with -1, words or decimals; null is false."""
    word = str(value).strip().casefold()
    return word in ("true", "t", "yes", "y", "on") or (word[-1:].isdigit() and Decimal(word) in (1, -1))


def money(value: Any) -> Decimal | None:
    """An exact amount."""
    return None if value is None else Decimal(str(value))


def rounded(amount: Decimal) -> Decimal:
    """Half up (away from zero) to two places; never a negative zero."""
    cents = amount.quantize(_CENT, rounding=ROUND_HALF_UP, context=EXACT)
    return cents or Decimal("0.00")


def instant(value: Any, zone: ZoneInfo) -> datetime | None:
    """The UTC instant, in whole seconds, of a wall clock reading of the site.

    ``fold=0`` is exactly the contract: the first of two autumn readings, and in the spring gap the offset before it.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int):
        wall = _EPOCH + timedelta(seconds=value // 1000)
    else:
        wall = datetime.fromisoformat(str(value)[:19])
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def iso(moment: datetime | None) -> str | None:
    """``YYYY-MM-DDTHH:MM:SSZ``."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def meaningful(moment: datetime | None, mapping: Mapping) -> datetime | None:
    """A moment, unless it is before the site's first year or beyond what it may know of the future."""
    if moment is None or moment.astimezone(mapping.source.zone).year < mapping.source.first_year:
        return None
    # Rows do not say when they were written; a shop that is judged was written until now.
    return moment if moment <= datetime.now(UTC) + timedelta(days=mapping.source.future_days) else None
