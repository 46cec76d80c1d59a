"""The retention headroom: the time for which the connector could stop before SQL Server deletes changes that it has not read.

CDC keeps changes for some days. We have no access to the database. A job with access writes a small JSON document to a file
or a page that we can read (the query is in ``docs/operations.md``)::

    {"oldest": "2026-03-02T08:40:00Z", "at": "2026-03-05T08:40:00Z"}

``oldest`` is the time of the oldest change that is still kept, ``at`` the time of the query, both in UTC.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import httpx
import msgspec

from streams.core.errors import ConfigurationError

# CDC's cleanup job runs once a day by default; within an hour the document's value is still of use.
_STALE_MS: Final = 3_600_000
_SECONDS: Final = 10.0

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Retained(msgspec.Struct, frozen=True):
    """The document of the retention probe."""

    oldest: _Time
    at: _Time


async def read_retained(probe: str) -> Retained:
    """The document at ``probe``, a path or an ``http(s)`` address.

    Raises:
        ConfigurationError: it does not exist, or is not such a document.
    """
    try:
        return msgspec.json.decode(await _content(probe), type=Retained)
    except (OSError, httpx.HTTPError, msgspec.DecodeError) as error:
        raise ConfigurationError(f"OWDD_RETENTION_PROBE cannot be read: {type(error).__name__}: {error}") from error


async def _content(probe: str) -> bytes:
    if not probe.startswith(("http://", "https://")):
        return Path(probe).read_bytes()
    async with httpx.AsyncClient(timeout=_SECONDS) as http:
        return (await http.get(probe)).raise_for_status().content


def headroom_seconds(retained: Retained, captured_ms: int, now_ms: int) -> float | None:
    """Seconds between the newest captured change, ``captured_ms`` (epoch milliseconds), and the oldest kept change.

    None if the query is older than an hour: more changes have been deleted since.
    """
    if now_ms - retained.at.timestamp() * 1000 > _STALE_MS:
        return None
    # Both are times of the source's clock, so the difference does not depend on ours.
    return captured_ms / 1000 - retained.oldest.timestamp()
