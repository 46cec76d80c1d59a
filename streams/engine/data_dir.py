"""State directories of replicas that share a disk: each takes the first one that nobody uses.

``docker compose up --scale agents=3`` gives three equal containers one volume and new host names at every start. A lock on
the directory, and not the name, says whose it is, so that a new container takes up the state that an ended one has left.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TextIO

from streams.core.errors import ConfigurationError, RefusedError

_SETTING = "OWDD_DATA_DIR"


@contextmanager
def locked_data_dir(shared: Path) -> Iterator[Path]:
    """The first of ``shared/0``, ``shared/1``, … that no other process has, for as long as the block lasts.

    The system frees the directory of a process that dies, however it dies. Containers must run on one machine:
    locks do not reach over network file systems.

    Raises:
        ConfigurationError: it cannot be made or written, or it was one worker's own.
    """
    if (shared / "lock").exists():
        remedy = "Set OWDD_DATA_SHARED=false, or give the replicas another directory"
        raise ConfigurationError(f"{shared} holds the state of one worker", where=_SETTING, remedy=remedy)
    for number in count():
        slot = shared / str(number)
        _prepare(slot)
        with _lock_of(slot) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield slot
            return


@contextmanager
def own_data_dir(directory: Path) -> Iterator[Path]:
    """``directory``, for this process alone for as long as the block lasts.

    Raises:
        ConfigurationError: it cannot be made or written, or it was one that replicas share.
        RefusedError: another process has it.
    """
    _prepare(directory)
    if (directory / "0" / "lock").exists():
        remedy = "Set OWDD_DATA_SHARED=true, or give this worker another directory"
        raise ConfigurationError(f"{directory} holds the directories of replicas that share it", where=_SETTING, remedy=remedy)
    with _lock_of(directory) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "Stop that process, or give each worker a directory of its own"
            raise RefusedError(f"another process uses {directory}", where=_SETTING, remedy=remedy) from None
        yield directory


def _prepare(directory: Path) -> None:
    """Make the directory, for nobody but its owner (0700); what is there already keeps its rights."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = f"{directory} cannot be made: {error.strerror}"
        raise ConfigurationError(why, where=_SETTING, remedy="Name a directory that this user may write") from None


def _lock_of(directory: Path) -> TextIO:
    try:
        return (directory / "lock").open("w")
    except OSError as error:
        remedy = "Give it to the user that runs the worker, or name another"
        raise ConfigurationError(f"{directory} cannot be written: {error.strerror}", where=_SETTING, remedy=remedy) from None
