"""The row after a change, as far as the change shows it: columns that were not captured are named, and not taken for empty.

SQL Server's change table has no value of a large column that an update left alone. Debezium shows that in two ways:

* as its placeholder, for the types that the JDBC driver calls long (``text``, ``ntext``, ``xml``);
* as null in *both* images, for ``varchar(max)`` and ``nvarchar(max)``, which Debezium 3.6 takes for ordinary text. A real
  clearing has the old value in ``before`` (``docs/measured.md``). An ordinary column that is null in both images has not
  changed either, so that its stored value is null as well.
"""

from typing import Any, NamedTuple

from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.capture.reader import TableReader


class AfterImage(NamedTuple):
    """A row after its change.

    Attributes:
        columns: column to JSON value; None where the change does not show.
        missing: the text columns that the change does not show.
        keep: the fields of the typed row that therefore keep their stored values.
    """

    columns: dict[str, Any]
    missing: frozenset[str] = frozenset()
    keep: tuple[str, ...] = ()


def after_image(event: RowEvent, reader: TableReader) -> AfterImage:
    """The row after ``event``, which must have one; a placeholder is replaced by the value before, if that is known."""
    after, before = event.after or {}, event.before or {}
    columns, missing = after, set()
    for name in reader.texts:
        value = after.get(name, ...)
        if value == UNAVAILABLE:
            value = _former(before, name)
            columns = columns | {name: value}
        # Only an update says that a column did not change; an insert's null is a null.
        elif value is not None or not _unshown(event, reader, name):
            continue
        if value is None:
            missing.add(name)
    if not missing:
        return AfterImage(columns)
    certain = {name for name in missing if name in reader.large or after[name] == UNAVAILABLE}
    keep = (field for field, names in reader.fields.items() if _kept(names, columns, missing, certain))
    return AfterImage(columns, frozenset(missing), tuple(keep))


def _unshown(event: RowEvent, reader: TableReader, column: str) -> bool:
    """Whether a column that is null after an update may have a value: also where the image before is damaged and lacks it."""
    before = event.before or {}
    if column not in before:
        return event.op == "u" and column in reader.large
    return _former(before, column) is None


def _former(before: dict[str, Any], column: str) -> Any:
    value = before.get(column)
    return None if value == UNAVAILABLE else value


def _kept(names: tuple[str, ...], columns: dict[str, Any], missing: set[str], large: set[str]) -> bool:
    """Whether this image lacks a field that is read from the first of ``names`` with a value.

    Args:
        names: its columns, the deciding one first.
        columns: the row.
        missing: the columns that the change does not show.
        large: those of them that may have a value nevertheless; of the others a null is the likelier.
    """
    if missing.issuperset(names):
        return True
    return next((name for name in names if name in large or columns.get(name) not in (None, "")), None) in large
