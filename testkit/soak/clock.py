"""A clock that can be set while a program runs: libfaketime, of which only the wall clock is used.

Debian and its kin have it as package ``faketime``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PLACES = ("usr/lib/*/faketime", "usr/lib/faketime", "usr/local/lib/faketime")
_LIBRARY = "libfaketimeMT.so.1"


REMEDY = "They need libfaketime: `apt install faketime`."


def available() -> bool:
    """Whether the library is installed."""
    return next(_installed(), None) is not None


def _installed() -> Iterator[Path]:
    return (found for place in _PLACES for found in Path("/").glob(f"{place}/{_LIBRARY}"))


@dataclass(frozen=True, slots=True)
class WallClock:
    """The wall clock of all workers of a machine, ``offset`` seconds beside the real one, as its file says."""

    file: Path

    def environment(self) -> Mapping[str, str]:
        """What the processes are started with that follow it; they look into the file once a second.

        Raises:
            RuntimeError: the library is not installed.
        """
        library = next(_installed(), None)
        if library is None:
            raise RuntimeError(f"clock jumps cannot be played. {REMEDY}")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            # As on a machine whose clock is set: what measures durations goes on evenly.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: int) -> None:
        """Let it jump."""
        # In one step, since it may be read at any moment.
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        new.replace(self.file)
