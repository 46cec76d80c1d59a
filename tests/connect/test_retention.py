"""How long capture could stand still: the probe's document, read and judged."""

from pathlib import Path

import httpx
import pytest
import respx

from streams.connect.retention import Retained, headroom_seconds, read_retained
from streams.core.errors import ConfigurationError

DOCUMENT = b'{"oldest": "2026-03-02T08:40:00Z", "at": "2026-03-05T08:40:00+00:00"}'
DAY = 86_400
HOUR_MS = 3_600_000


@pytest.fixture
async def retained(tmp_path: Path) -> Retained:
    file = tmp_path / "retention.json"
    file.write_bytes(DOCUMENT)
    return await read_retained(str(file))


async def test_headroom_is_how_far_capture_is_ahead_of_what_is_deleted(retained: Retained) -> None:
    at = int(retained.at.timestamp() * 1000)
    assert headroom_seconds(retained, captured_ms=at, now_ms=at) == 3 * DAY
    assert headroom_seconds(retained, captured_ms=at - 4 * DAY * 1000, now_ms=at) == -DAY


async def test_a_document_of_two_hours_ago_says_nothing_about_now(retained: Retained) -> None:
    at = int(retained.at.timestamp() * 1000)
    assert headroom_seconds(retained, at, now_ms=at + HOUR_MS) is not None
    assert headroom_seconds(retained, at, now_ms=at + 2 * HOUR_MS) is None


async def test_a_page_is_as_good_as_a_file() -> None:
    with respx.mock:
        respx.get("http://probe.test/retention").mock(return_value=httpx.Response(200, content=DOCUMENT))
        assert (await read_retained("http://probe.test/retention")).oldest.day == 2


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"oldest": "2026-03-02T08:40:00", "at": "2026-03-05T08:40:00"}', b"\xff"]
)
async def test_another_document_is_refused_and_times_without_a_zone_too(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "retention.json"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="OWDD_RETENTION_PROBE"):
        await read_retained(str(file))


async def test_a_missing_file_and_a_failing_page_are_errors_that_name_the_setting(tmp_path: Path) -> None:
    with respx.mock:
        respx.get("http://probe.test/").mock(return_value=httpx.Response(503))
        for probe in ("http://probe.test/", str(tmp_path / "none.json")):
            with pytest.raises(ConfigurationError, match="OWDD_RETENTION_PROBE"):
                await read_retained(probe)
