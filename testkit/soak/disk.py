"""Disks that fail: files of the state that are damaged, and a disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

_DAMAGED = 512


def damage(state: Path, rng: Random) -> None:
    """Overwrite a part of one file of the stores below ``state``, or cut it off, as a disk does that lost a block.

    Of all kinds of files that a store has, but not those that carry nothing (its own log, its lock).
    """
    files = sorted(path for path in state.rglob("*") if path.is_file() and _carries(path))
    # By kind first: there are many tables, and one pointer to the current manifest.
    kind = rng.choice(sorted({_kind(path) for path in files}))
    victim = rng.choice([path for path in files if _kind(path) == kind])
    size = victim.stat().st_size
    with victim.open("r+b") as file:
        if rng.random() < 0.3:
            file.truncate(rng.randrange(size))
        else:
            file.seek(rng.randrange(size))
            file.write(rng.randbytes(min(_DAMAGED, size)))


def _carries(path: Path) -> bool:
    return _kind(path) in {"sst", "log", "MANIFEST", "CURRENT"} and path.stat().st_size > 0


def _kind(path: Path) -> str:
    name = path.name
    return name if name == "CURRENT" else "MANIFEST" if name.startswith("MANIFEST") else path.suffix.removeprefix(".")


@contextmanager
def full(pid: int) -> Iterator[None]:
    """No file of the process grows any more, as on a full disk: writes fail, reads go on."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        # It may have ended, as it should.
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
