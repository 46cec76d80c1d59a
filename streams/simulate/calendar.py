"""The site's wall clock: the only time that an Orderwise ``datetime`` column knows."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HISTORY_START: Final = datetime(2024, 1, 1, 8, tzinfo=UTC)
LIVE_START: Final = datetime(2026, 10, 19, 6, tzinfo=UTC)
LIVE_SPAN: Final = timedelta(days=14)
"""The live part runs over two weeks, however many commits it has; in Europe the clocks go back in between."""

_FRACTIONS: Final = ("", "", "", ".003", ".25", ".5", ".997", ".12", ".7")


class Calendar:
    """Turns instants into readings of the wall clock, and knows the readings that are hard to turn back."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self.edges: list[str] = list(_edges(zone))

    def wall(self, moment: datetime, fraction: int = 0) -> str:
        """``moment`` as ISO text with a nominal ``Z``; fractions as SQL Server rounds them, trailing zeros dropped."""
        local = moment.astimezone(self._zone)
        return local.isoformat(timespec="seconds")[:19] + _FRACTIONS[fraction % len(_FRACTIONS)] + "Z"


def _edges(zone: ZoneInfo) -> list[str]:
    """Wall clock readings that come twice, never, or right beside a change of the clock."""
    found: list[str] = []
    hour = timedelta(hours=1)
    moment = HISTORY_START
    while moment < LIVE_START + LIVE_SPAN:
        before, after = _offset(zone, moment), _offset(zone, moment + hour)
        if before != after:
            change = (moment + hour).replace(tzinfo=None)
            for wall in (change + min(before, after), change + max(before, after)):
                found += [_text(wall - timedelta(seconds=1)), _text(wall), _text(wall + timedelta(minutes=30))]
        moment += hour
    return found


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _text(wall: datetime) -> str:
    return wall.isoformat(timespec="seconds") + "Z"
