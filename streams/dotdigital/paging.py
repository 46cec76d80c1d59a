"""The two ways in which Dotdigital pages: v3 by markers, v2 by ``select`` and ``skip``."""

from typing import Final

from streams.dotdigital.responses import ApiModel, stamp

MOST_V3: Final = 5000
"""Rows in one page of v3."""
MOST_V2: Final = 1000
"""Rows in one page of v2."""


class _Link(ApiModel):
    marker: str | None = None


class Links(ApiModel):
    """Where a page stands among the others."""

    next: _Link | None = None

    def following(self) -> str | None:
        """The marker of the next page; None on the last."""
        return (self.next.marker or None) if self.next else None


def since(modified: int | None) -> dict[str, str]:
    """The filter for what changed at ``modified`` (UTC epoch seconds) or later; ``gte`` is the only comparison there is."""
    return {} if modified is None else {"~modified": f"gte::{stamp(modified)}"}


def skipping(rows: int) -> dict[str, str]:
    """The v2 page after ``rows`` rows; the listing ends with a page that is not full."""
    return {"select": str(MOST_V2), "skip": str(rows)}
