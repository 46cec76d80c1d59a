"""State directories of replicas that share a disk: each takes the first one that nobody uses.

``docker compose up --scale agents=3`` gives three equal containers one volume and new host names at every start. A lock on
the directory, and not the name, says whose it is, so that a new container takes up the state that an ended one has left.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def locked_data_dir(shared: Path) -> Iterator[Path]:
    """The first of ``shared/0``, ``shared/1``, … that no other process has, for as long as the block lasts.

    The system frees the directory of a process that dies, however it dies. Containers must run on one machine:
    locks do not reach over network file systems.
    """
    for number in count():
        slot = shared / str(number)
        slot.mkdir(parents=True, exist_ok=True)
        with (slot / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield slot
            return
