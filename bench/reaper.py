"""Cleans up after a benchmark that was killed: ``python -m bench.reaper DIRECTORY`` waits for the end of its standard input.

Workers die with the benchmark (:mod:`bench.child`), but the broker is detached and would live on.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testkit.local_services.kafka import kill

BROKER = "kafka"
"""The broker's directory, below the benchmark's."""


@contextmanager
def reaped(directory: Path) -> Iterator[None]:
    """See to it that the broker in ``directory`` ends, and the directory goes, when this process ends or leaves the block."""
    command = [sys.executable, "-m", "bench.reaper", str(directory)]
    # A session of its own: what is sent to our terminal's processes must not reach it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        # Leaving closes the pipe, and waits for the end.
        yield


def main(directory: Path) -> None:
    """Wait until the other end of standard input is closed, then clean up what is left."""
    sys.stdin.read()
    kill(directory / BROKER)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
