"""When bulk may be sent: by the clock on the wall, whatever becomes of that clock."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.mapping.bulk_windows import BulkWindows

LONDON, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/London", "America/New_York", "Australia/Lord_Howe"))
UTC = ZoneInfo("UTC")


def ms(text: str, zone: ZoneInfo = LONDON) -> int:
    """Epoch milliseconds of an ISO time in a zone; one with an offset of its own keeps that."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def changes(windows: BulkWindows, start: int, hours: int = 23) -> list[datetime]:
    """When the windows open and close in the hours from ``start`` (epoch milliseconds) on, to the minute, in UTC."""
    minutes = range(start, start + hours * 3_600_000, 60_000)
    found = [after for before, after in pairwise(minutes) if windows.open_at(after) is not windows.open_at(before)]
    assert all(windows.open_at(at - 1) is not windows.open_at(at) for at in found), "to the millisecond"
    return [datetime.fromtimestamp(at / 1000, UTC) for at in found]


def openings(line: str, day: str, zone: ZoneInfo) -> list[str]:
    """The changes of the 23 hours from the day's midnight on."""
    return [f"{at:%H:%M}" for at in changes(BulkWindows.parse([line], zone), ms(day, zone))]


class TestWeek:
    @pytest.mark.parametrize(
        ("at", "is_open"),
        [
            ("2026-06-01T21:59:59", False),  # a Monday
            ("2026-06-01T22:00:00", True),
            ("2026-06-02T05:59:59", True),
            ("2026-06-02T06:00:00", False),
            ("2026-06-06T05:59:59", True),  # Saturday morning belongs to Friday's window
            ("2026-06-06T23:00:00", False),
            ("2026-06-08T05:00:00", False),  # Sunday has none
        ],
    )
    def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(self, at: str, is_open: bool) -> None:
        assert BulkWindows.parse(["mon-fri 22:00-06:00"], LONDON).open_at(ms(at)) is is_open

    def test_without_days_it_is_every_day(self) -> None:
        windows = BulkWindows.parse(["23:00-05:00"], LONDON)
        assert all(windows.open_at(ms(f"2026-06-0{day}T04:59:00")) for day in range(1, 8))
        assert not any(windows.open_at(ms(f"2026-06-0{day}T05:00:00")) for day in range(1, 8))

    def test_days_may_be_listed_and_run_over_the_weekend(self) -> None:
        windows = BulkWindows.parse(["FRI - mon , wed 10:00 - 11:00"], LONDON)
        assert [windows.open_at(ms(f"2026-06-0{day}T10:30:00")) for day in range(1, 8)] == [1, 0, 1, 0, 1, 1, 1]

    def test_a_sunday_night_runs_into_the_next_week(self) -> None:
        windows = BulkWindows.parse(["sun 22:00-06:00"], LONDON)
        assert windows.open_at(ms("2026-06-08T05:59:00"))
        assert not windows.open_at(ms("2026-06-08T06:00:00"))

    def test_overlapping_and_adjoining_windows_are_one(self) -> None:
        windows = BulkWindows.parse(["mon 20:00-24:00", "tue 00:00-03:00", "mon 23:00-02:00"], LONDON)
        assert [f"{at:%a %H:%M}" for at in changes(windows, ms("2026-06-01T00:00:00"), 48)] == ["Mon 19:00", "Tue 02:00"]

    @pytest.mark.parametrize("lines", [[], ["00:00-24:00"], ["mon-fri 00:00-24:00", "sat,sun 00:00-24:00"]])
    def test_what_is_always_open_never_changes(self, lines: list[str]) -> None:
        windows = BulkWindows.parse(lines, LONDON)
        assert windows.open_at(ms("2026-06-03T12:00:00"))
        assert not changes(windows, ms("2026-06-01T00:00:00"), 8 * 24)

    def test_what_is_shut_opens_with_the_next_window(self) -> None:
        windows = BulkWindows.parse(["mon 10:00-11:00", "sat 22:00-06:00"], LONDON)
        assert windows.opens(ms("2026-06-01T10:30:05")) == ms("2026-06-01T10:30:05")
        assert windows.opens(ms("2026-06-01T11:00:30")) == ms("2026-06-06T22:00:00")
        assert windows.opens(ms("2026-06-07T06:00:00")) == ms("2026-06-08T10:00:00")
        assert BulkWindows.parse([], LONDON).opens(5) == 5


class TestClocksThatChange:
    def test_london_skips_an_hour_and_a_window_that_begins_in_it_begins_after_it(self) -> None:
        # 29 March 2026: 01:00 becomes 02:00.
        assert openings("01:30-05:00", "2026-03-29", LONDON) == ["01:00", "04:00"]
        assert openings("00:30-01:30", "2026-03-29", LONDON) == ["00:30", "01:00"]
        assert openings("01:10-01:50", "2026-03-29", LONDON) == []

    def test_london_shows_an_hour_twice_and_both_count(self) -> None:
        # 25 October 2026: 02:00 becomes 01:00, so that 01:30 is at 00:30 and at 01:30 UTC.
        assert openings("01:30-05:00", "2026-10-25", LONDON) == ["00:30", "01:00", "01:30", "05:00"]
        assert openings("00:30-01:30", "2026-10-25", LONDON) == ["23:30", "00:30", "01:00", "01:30"]

    def test_a_night_over_the_change_is_an_hour_shorter_or_longer(self) -> None:
        windows = BulkWindows.parse(["22:00-06:00"], NEW_YORK)
        spring, autumn = ms("2026-03-07T22:00:00", NEW_YORK), ms("2026-10-31T22:00:00", NEW_YORK)
        assert [f"{at:%H:%M}" for at in changes(windows, spring)] == ["10:00"], "seven hours: it opened at 03:00"
        assert [f"{at:%H:%M}" for at in changes(windows, autumn)] == ["11:00"], "nine hours: it opened at 02:00"

    def test_new_york(self) -> None:
        assert openings("02:15-04:00", "2026-03-08", NEW_YORK) == ["07:00", "08:00"]
        assert openings("01:15-01:45", "2026-11-01", NEW_YORK) == ["05:15", "05:45", "06:15", "06:45"]

    def test_lord_howe_changes_by_half_an_hour(self) -> None:
        # 4 October 2026: 02:00 becomes 02:30; 5 April 2026: 02:00 becomes 01:30.
        assert openings("02:15-03:00", "2026-10-04", LORD_HOWE) == ["15:30", "16:00"]
        assert openings("01:45-03:00", "2026-04-05", LORD_HOWE) == ["14:45", "15:00", "15:15", "16:30"]


DAYS = {"": range(7), "mon ": (0,), "fri-tue ": (4, 5, 6, 0, 1), "sat,wed ": (5, 2)}

times = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
lines = st.tuples(st.sampled_from(sorted(DAYS)), times, times).filter(lambda line: line[1] != line[2])


@given(
    parts=st.lists(lines, min_size=1, max_size=3),
    zone=st.sampled_from([LONDON, NEW_YORK, LORD_HOWE]),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 24)),
)
def test_it_is_open_when_the_clock_on_the_wall_shows_a_time_in_a_window(
    parts: list[tuple[str, str, str]], zone: ZoneInfo, at: datetime
) -> None:
    windows = BulkWindows.parse([f"{days}{start}-{end}" for days, start, end in parts], zone)
    shown = at.replace(tzinfo=UTC).astimezone(zone)
    today, yesterday, now = shown.weekday(), (shown.weekday() - 1) % 7, f"{shown:%H:%M}"

    def holds(days: str, start: str, end: str) -> bool:
        if start < end:
            return today in DAYS[days] and start <= now < end
        return (today in DAYS[days] and now >= start) or (yesterday in DAYS[days] and now < end)

    assert windows.open_at(ms(at.isoformat(), UTC)) is any(holds(*part) for part in parts)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "is not a window"),
        ("weekdays 22:00-06:00", "'weekdays' is not a day"),
        ("mon-caturday 22:00-06:00", "'mon-caturday' is not a day"),
        ("mon, 22:00-06:00", "is not a window"),
        ("mon 22-06", "is not a window"),
        ("mon 22:60-23:00", "22:60 is not a time of day"),
        ("mon 22:00-24:01", "24:01 is not a time of day"),
        ("mon 22:00-22:00", "a whole day is 00:00-24:00"),
        ("mon 24:00-06:00", "a whole day is 00:00-24:00"),
        ("mon 22:00-06:00 tue 22:00-06:00", "is not a window"),
    ],
)
def test_a_line_that_is_no_window_is_reported(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        BulkWindows.parse([line], LONDON)
    assert repr(line) in str(caught.value)
