"""What RocksDB's errors mean: the disk or the system fails, or files are damaged.

rocksdict raises plain exceptions, so their text decides. A cause outside the files comes first: RocksDB calls a file that it
could not open for want of descriptors a corruption too.
"""

from pathlib import Path

from streams.core.errors import OwddError

_OUTSIDE = (
    "No locks available",
    "Too many open files",
    "Input/output error",
    "No space left",
    "Disk quota",
    "Permission denied",
    "Read-only file system",
    "Cannot allocate memory",
)
_DAMAGE = ("Corruption", "No such file or directory")


class StoreError(OwddError):
    """A store cannot be read or written. The worker must end: no record is to blame."""


class DamagedStoreError(StoreError):
    """A store's own files are damaged. Its changelog has all of it."""


def store_error(path: Path, error: Exception) -> StoreError:
    """What ``error``, which RocksDB raised about the store at ``path``, amounts to."""
    # Without the path, which may contain any word.
    text = str(error).replace(f"{path}/", "")
    if any(cause in text for cause in _OUTSIDE) or not any(sign in text for sign in _DAMAGE):
        remedy = "Look at that disk, its space, its rights and the limit of open files, then start the worker again"
        return StoreError(f"state cannot be read or written ({text})", where=str(path), remedy=remedy)
    remedy = "Start the worker again: it moves the directory aside, and reads the state from its changelog"
    return DamagedStoreError(f"state is damaged ({text})", where=str(path), remedy=remedy)
