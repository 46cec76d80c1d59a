"""The site's wall clock: the only time that an Orderwise ``datetime`` column knows."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

USUAL_END: Final = datetime(2026, 11, 2, 6, tzinfo=UTC)
"""When the live part ends unless asked otherwise; in Europe the clocks go back during its two weeks."""
LIVE_SPAN: Final = timedelta(days=14)
"""The live part runs over two weeks, however many commits it has."""
HISTORY_SPAN: Final = timedelta(days=1021, hours=22)
"""How long before the live part the shop had opened."""

_FRACTIONS: Final = ("", "", "", ".003", ".25", ".5", ".997", ".12", ".7")


class Calendar:
    """Turns instants into readings of the wall clock, and knows the readings that are hard to turn back."""

    def __init__(self, zone: ZoneInfo, end: datetime = USUAL_END) -> None:
        """``end``: when the live part ends; everything else is counted back from there."""
        self._zone = zone
        self.end = end
        self.live_start = end - LIVE_SPAN
        self.history_start = self.live_start - HISTORY_SPAN
        self.edges: list[str] = list(_edges(zone, self.history_start, end))

    def wall(self, moment: datetime, fraction: int = 0) -> str:
        """``moment`` as ISO text with a nominal ``Z``; fractions as SQL Server rounds them, trailing zeros dropped."""
        local = moment.astimezone(self._zone)
        return local.isoformat(timespec="seconds")[:19] + _FRACTIONS[fraction % len(_FRACTIONS)] + "Z"


def _edges(zone: ZoneInfo, start: datetime, end: datetime) -> list[str]:
    """Wall clock readings that come twice, never, or right beside a change of the clock."""
    found: list[str] = []
    hour = timedelta(hours=1)
    # Clocks change at whole hours.
    moment = start.replace(minute=0, second=0, microsecond=0)
    while moment + hour <= end:
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
