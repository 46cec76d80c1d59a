"""Jars from Maven Central, resolved once for each content of a pom and kept in the cache directory."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testkit.local_services.java import Java, find_maven
from testkit.local_services.start_errors import JarsUnavailable

Progress = Callable[[str], None]
"""Called with a short line for people whenever a slow piece of work moves on."""

_CHECKOUT = Path(__file__).parents[2]
_FETCHED = re.compile(r"Downloaded from \S+ \S+/(\S+\.jar) ")
_LAST_LINES = 12


def silent(_: str) -> None:
    """Progress that nobody watches."""


def cache_dir() -> Path:
    """``OWDD_CACHE_DIR``, else ``~/.cache/owdd``."""
    return Path(os.environ.get("OWDD_CACHE_DIR") or "~/.cache/owdd").expanduser().absolute()


def pom(name: str) -> Path:
    """The pom of the runtime called ``name``, from the source checkout unless ``OWDD_POM_DIR`` names another directory.

    Raises ``JarsUnavailable`` where there is none, as in an installed wheel.
    """
    found = Path(os.environ.get("OWDD_POM_DIR") or _CHECKOUT / "connectors" / "runtime", name, "pom.xml").absolute()
    if not found.is_file():
        raise JarsUnavailable(
            f"There is no {found}, which lists the jars of a local runtime.",
            "Run from a source checkout, or set OWDD_POM_DIR to the checkout's connectors/runtime directory.",
        )
    return found


def resolve(pom: Path, java: Java, progress: Progress = silent) -> Path:
    """The directory that holds the runtime dependencies of ``pom`` and nothing else.

    Blocks while Maven fetches them, the first time. Concurrent callers wait for each other, and a directory is either
    complete or not there. Raises ``MavenMissing`` or ``JarsUnavailable``.
    """
    root = cache_dir() / "jars"
    kept = root / f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}"
    if kept.is_dir():
        return kept
    root.mkdir(parents=True, exist_ok=True)
    # One lock for all poms: two Mavens at once may damage their common local repository.
    with file_lock(root / "lock", lambda: progress("Waiting for another process that is fetching jars")):
        if not kept.is_dir():
            partial = kept.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _copy_dependencies(pom, partial, java, progress)
            partial.rename(kept)
    return kept


@contextmanager
def file_lock(path: Path, when_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold ``path`` against other processes and threads; the lock of a process that dies is free again."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _copy_dependencies(pom: Path, target: Path, java: Java, progress: Progress) -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    progress(f"Asking Maven for the jars of {pom.parent.name}")
    said: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        [find_maven(), "-B", "-Dstyle.color=never", "-f", pom, *goal],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Maven must not stumble over the Java that find_java passed over.
        env=os.environ | {"JAVA_HOME": str(java.home)},
    ) as maven:
        assert maven.stdout is not None
        for line in maven.stdout:
            if fetched := _FETCHED.search(line):
                progress(f"Fetched {fetched[1]}")
            elif "Download" not in line and line.strip():
                said.append(line.rstrip())
    if maven.returncode or not any(target.glob("*.jar")):
        raise JarsUnavailable(
            f"Maven could not resolve {pom} (exit status {maven.returncode}). The end of its output:",
            "Check that Maven Central, or the mirror named in Maven's settings.xml, can be reached, then try again.",
            said,
        )
