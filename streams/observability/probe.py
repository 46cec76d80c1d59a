"""``python -I -S probe.py URL``: exit code 0 if the page answers with success, for container health checks.

It runs every few seconds beside the work, so it costs what Python's own start costs: no site packages (``-S``), no HTTP
library, none of our modules. The image keeps a copy at a path that does not depend on Python's version.
"""

import socket
import sys

_SECONDS = 8.0


def healthy(url: str) -> bool:
    """Whether ``http://HOST:PORT/PATH`` answers with a status of 2xx; each wait is at most eight seconds."""
    authority, _, path = url.removeprefix("http://").partition("/")
    host, _, port = authority.rpartition(":")
    # HTTP/1.0: the server closes the connection, so there is no length to read. The status line fits the first bytes.
    request = f"GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n".encode()
    try:
        with socket.create_connection((host, int(port)), _SECONDS) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as reply:
                _, status, *_ = reply.readline(256).split()
                return status.startswith(b"2")
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(not healthy(sys.argv[1]))
