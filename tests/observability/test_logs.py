"""Text that comes with a record can neither forge a line of the log nor steer a terminal."""

import subprocess
import sys

SCRIPT = """
import logging, structlog
from streams.observability.logs import configure
configure("info", as_json={as_json})
structlog.get_logger().error("record dead-lettered", reason="id\\x1b[2J\\r\\nerror forged")
logging.getLogger("library").error("key %s", "a\\x1b[2J")
"""


def logged(*, as_json: bool) -> list[str]:
    script = SCRIPT.format(as_json=as_json)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr.splitlines()


def test_control_characters_are_written_as_escapes() -> None:
    for as_json in (False, True):
        lines = logged(as_json=as_json)
        assert len(lines) == 2
        assert not any("\x1b" in line for line in lines)
        assert "[2J" in lines[0]
        assert lines[1] == r"ERROR library: key a\x1b[2J"
