"""``python -m testkit.dashboards DIRECTORY``: write every dashboard, and remove what is none any more."""

import sys
from pathlib import Path
from typing import Final

from testkit.dashboards.board import Board
from testkit.dashboards.build import rendered
from testkit.dashboards.capture import CAPTURE
from testkit.dashboards.delivery import DELIVERY
from testkit.dashboards.flow import FLOW
from testkit.dashboards.joins import JOINS
from testkit.dashboards.overview import OVERVIEW
from testkit.dashboards.quality import QUALITY

BOARDS: Final[tuple[Board, ...]] = (OVERVIEW, FLOW, CAPTURE, JOINS, DELIVERY, QUALITY)


def main() -> None:
    """Write them."""
    directory = Path(sys.argv[1])
    for old in directory.glob("*.json"):
        old.unlink()
    for board in BOARDS:
        (directory / f"{board.uid}.json").write_text(rendered(board), "utf-8")


if __name__ == "__main__":
    main()
