"""Dotdigital's two ways of paging: v3 by markers, v2 by ``select`` and ``skip``."""

from typing import Final

from streams.dotdigital.responses import ApiModel, stamp

MOST_V3: Final = 5000
"""Dotdigital's limit of rows in one page of v3."""
MOST_V2: Final = 1000
"""Dotdigital's limit of rows in one page of v2."""


class _Link(ApiModel):
    marker: str | None = None


class Links(ApiModel):
    """The links of a page to other pages."""

    next: _Link | None = None

    def following(self) -> str | None:
        """The marker of the next page; None on the last page, which has no ``next``."""
        return (self.next.marker or None) if self.next else None


def since(modified: int | None) -> dict[str, str]:
    """The filter for rows that changed at ``modified`` (UTC epoch seconds) or later; ``gte`` is the only comparison."""
    return {} if modified is None else {"~modified": f"gte::{stamp(modified)}"}


def skipping(rows: int) -> dict[str, str]:
    """The query for the v2 page after ``rows`` rows. The listing ends with a page that is not full: v2 gives no total."""
    return {"select": str(MOST_V2), "skip": str(rows)}
