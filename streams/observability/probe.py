"""``python -m streams.observability.probe URL``: exit code 0 if the page answers with success, for container health checks.

The standard library only: the check runs every few seconds, and the command line takes a second of processor time to start.
"""

import sys
from http.client import HTTPException
from urllib.request import urlopen

_SECONDS = 4.0


def healthy(url: str) -> bool:
    """Whether ``url`` answers with success within four seconds."""
    try:
        with urlopen(url, timeout=_SECONDS):  # noqa: S310  # the URL is the container's own, from its configuration
            return True
    except (OSError, HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(not healthy(sys.argv[1]))
