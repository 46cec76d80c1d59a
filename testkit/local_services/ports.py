"""Ports on the loopback address: one that is asked for, the last one, or a free one."""

import fcntl
import os
import random
import socket
import tempfile
import time
from pathlib import Path

from testkit.local_services.start_errors import PortTaken

HOST = "127.0.0.1"

# Below the range that systems take outgoing ports from. A client that reconnects to a broker port inside that range
# while the broker is down can be given that very port, connects to itself, and then keeps the broker from coming back.
_PORTS = range(20_000, 32_000)
_GIVEN_SECONDS = 300.0
"""Longer than any program takes to listen on a port that it was given, or to come back on its last one."""


def choose_port(asked: int | None, last: int | None) -> int:
    """The port asked for, else the last one if it is free, else any free one.

    Raises:
        PortTaken: somebody listens on the port asked for.
    """
    if asked is not None:
        if not _is_free(asked):
            raise PortTaken(asked)
        return asked
    if last is None or not _is_free(last):
        return free_port()
    keep_port(last)
    return last


def keep_port(port: int) -> None:
    """Have :func:`free_port` give this port to nobody for a while: a program that was stopped may come back on it."""
    (_given_ports() / str(port)).touch()


def free_port(besides: int | None = None) -> int:
    """A port that nobody listens on, and that nobody else was given by this function lately; other programs may take it."""
    directory = _given_ports()
    with (directory / "lock").open("w") as lock:
        # Whoever was given a port needs a while to listen on it, on a busy machine many seconds.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for port in random.sample(_PORTS, 200):
            given = directory / str(port)
            lately = given.exists() and time.time() - given.stat().st_mtime < _GIVEN_SECONDS
            if port != besides and not lately and _is_free(port):
                given.touch()
                return port
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def _given_ports() -> Path:
    """A file for each port that was given, touched when it was; all processes of this user share them."""
    directory = Path(tempfile.gettempdir()) / f"owdd-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def _is_free(port: int) -> bool:
    try:
        # As Kafka binds it: with SO_REUSEADDR, so connections of a former broker that linger do not matter.
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
