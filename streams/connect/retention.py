"""How long the connector could stand still before SQL Server deletes changes that it has not read.

CDC keeps changes for some days. We have no access to the database, so whoever has leaves a small JSON document where we can
read it, a file or a page (the query is in ``docs/operations.md``)::

    {"oldest": "2026-03-02T08:40:00Z", "at": "2026-03-05T08:40:00Z"}

``oldest`` is the time of the oldest change that is still kept, ``at`` when somebody looked, both in UTC.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import httpx
import msgspec

from streams.core.errors import ConfigurationError

_STALE_MS: Final = 3_600_000
_SECONDS: Final = 10.0

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Retained(msgspec.Struct, frozen=True):
    """The document."""

    oldest: _Time
    at: _Time


async def read_retained(probe: str) -> Retained:
    """The document at ``probe``, a path or an ``http(s)`` address.

    Raises:
        ConfigurationError: there is none, or it is something else.
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
    """How far capture, which has come to ``captured_ms`` (epoch milliseconds), is ahead of what is deleted.

    None when nobody has looked for an hour: the edge has moved on since, and nobody knows how far.
    """
    if now_ms - retained.at.timestamp() * 1000 > _STALE_MS:
        return None
    return captured_ms / 1000 - retained.oldest.timestamp()
