"""The table of wrong set-ups in ``docs/operations.md``; as a program it writes the table there (``make docs``)."""

import re
from pathlib import Path

from tests.operations.wrong_setups import TABLE

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
_HEAD = "| set-up | code | message |\n|---|---|---|\n"


def table() -> str:
    """The table as ``docs/operations.md`` has it."""
    return _HEAD + "".join(f"| {setup.title} | {setup.code.name} | {setup.message} |\n" for setup in TABLE)


def page_with_table() -> str:
    """``docs/operations.md`` with the table as it is here."""
    before, _, rest = OPERATIONS.read_text("utf-8").partition(_HEAD)
    return before + table() + rest[re.match(r"(\|.*\n)*", rest).end() :]  # type: ignore[union-attr]  # it may match nothing


if __name__ == "__main__":
    OPERATIONS.write_text(page_with_table(), "utf-8")
