"""Windows of the bulk lane: the times, on the site's wall clock, at which snapshots and backfills may be sent.

A window is open whenever the wall clock shows one of its times. So when clocks go back, an hour that is shown twice counts
twice. When clocks go forward, skipped times do not count, and a window that would open at one of them opens right after them.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 1440
_WEEK = 7 * _DAY
_LINE = re.compile(r"(?:(?P<days>[a-z,\s-]*[a-z])\s+)?(?P<start>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)")
_EXAMPLE = "write it as in 'mon-fri 22:00-06:00', 'sat,sun 00:00-24:00' or '23:00-05:00'"


class BulkWindows:
    """Weekly windows in one zone. Without any window, bulk may always be sent."""

    def __init__(self, spans: Iterable[tuple[int, int]], zone: ZoneInfo) -> None:
        """``spans``: start and end in minutes since Monday 00:00; the end may be in the next week."""
        self._zone = zone
        self._edges = _edges(spans)

    @classmethod
    def parse(cls, lines: Iterable[str], zone: ZoneInfo) -> "BulkWindows":
        """Windows such as ``mon-fri 22:00-06:00``. A window that ends after midnight belongs to the day on which it begins.

        Raises:
            ValueError: a line is not a window; the message names the line and the reason.
        """
        return cls([span for line in lines for span in _spans(line)], zone)

    def open_at(self, epoch_ms: int) -> bool:
        """Whether bulk may be sent at ``epoch_ms``."""
        # The edges are openings and closings in turn: after an odd number of them a window is open.
        return not self._edges or bisect_right(self._edges, self._minute(epoch_ms)) % 2 == 1

    def opens(self, epoch_ms: int) -> int:
        """The first time from ``epoch_ms`` on, in epoch milliseconds, at which bulk may be sent.

        If clocks change before that time, the result is wrong by the same amount. The caller must ask ``open_at`` again then.
        """
        if self.open_at(epoch_ms):
            return epoch_ms
        minute = self._minute(epoch_ms)
        return epoch_ms - epoch_ms % 60_000 + min((start - minute) % _WEEK for start in self._edges[::2]) * 60_000

    def _minute(self, epoch_ms: int) -> int:
        local = datetime.fromtimestamp(epoch_ms // 1000, self._zone)
        return local.weekday() * _DAY + local.hour * 60 + local.minute


def _edges(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Openings and closings in turn, in minutes of the week. Overlapping and adjoining spans become one.

    A span that ends in the next week is split: its second part is at the beginning of every week.
    """
    parts = [part for start, end in spans for part in ((start, min(end, _WEEK)), (0, end - _WEEK)) if part[0] < part[1]]
    edges: list[int] = []
    for start, end in sorted(parts):
        if edges and start <= edges[-1]:
            edges[-1] = max(edges[-1], end)
        else:
            edges += [start, end]
    return edges


def _spans(line: str) -> list[tuple[int, int]]:
    found = _LINE.fullmatch(line.strip().casefold())
    if found is None:
        raise ValueError(f"{line!r} is not a window: {_EXAMPLE}")
    start, end = _clock(line, found["start"]), _clock(line, found["end"])
    if start in {end, _DAY}:
        raise ValueError(f"{line!r} is empty; a whole day is 00:00-24:00")
    length = (end - start) % _DAY or _DAY
    return [(day * _DAY + start, day * _DAY + start + length) for day in _days(line, found["days"])]


def _clock(line: str, text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if minute > 59 or hour * 60 + minute > _DAY:
        raise ValueError(f"{line!r}: {text} is not a time of day")
    return hour * 60 + minute


def _days(line: str, text: str | None) -> list[int]:
    if text is None:
        return list(range(7))
    days: list[int] = []
    for part in text.split(","):
        first, _, last = (name.strip() for name in part.partition("-"))
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{line!r}: {part.strip()!r} is not a day: {_EXAMPLE}")
        start = _DAYS.index(first)
        days += [(start + more) % 7 for more in range((_DAYS.index(last or first) - start) % 7 + 1)]
    return days
