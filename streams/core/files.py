"""Files that hold what is nobody else's business."""

import os
from pathlib import Path


def write_private(file: Path, content: bytes, *, new: bool = False) -> None:
    """Write a file that only its owner may read (0600); ``new``: it must not exist yet.

    Raises:
        OSError: it cannot be written, or exists though it should be ``new``.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if new else os.O_TRUNC)
    descriptor = os.open(file, flags, 0o600)
    # An older file keeps its rights when it is opened: it must not keep wider ones.
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
