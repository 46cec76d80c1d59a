"""Ports on the loopback address: one that is asked for, the last one, or a free one."""

import random
import socket

from testkit.local_services.start_errors import PortTaken

HOST = "127.0.0.1"

# Below the range that systems take outgoing ports from. A client that reconnects to a broker port inside that range
# while the broker is down can be given that very port, connects to itself, and then keeps the broker from coming back.
_PORTS = range(20_000, 32_000)


def choose_port(asked: int | None, last: int | None) -> int:
    """The port asked for, else the last one if it is free, else any free one.

    Raises:
        PortTaken: somebody listens on the port asked for.
    """
    if asked is not None:
        if not _is_free(asked):
            raise PortTaken(asked)
        return asked
    return last if last is not None and _is_free(last) else free_port()


def free_port(besides: int | None = None) -> int:
    """A port that nobody listens on now; others may take it before the caller does."""
    for port in random.sample(_PORTS, 200):
        if port != besides and _is_free(port):
            return port
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def _is_free(port: int) -> bool:
    try:
        # As Kafka binds it: with SO_REUSEADDR, so connections of a former broker that linger do not matter.
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
