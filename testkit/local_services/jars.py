"""Jars from a Maven repository, resolved once for each content of a pom and kept in the cache directory.

jgo reads poms as Maven does, so Maven itself is not needed. ``jars.lock`` beside the pom has the name and the SHA-256 of every
jar: what does not agree with it is not used. ``make lock`` writes these files.
"""

import fcntl
import hashlib
import os
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from testkit.local_services.start_errors import JarsUnavailable

Progress = Callable[[str], None]
"""Called with a short line for people whenever a slow piece of work moves on."""

LOCK = "jars.lock"
"""Name of the file beside a pom: a line for each jar of any platform, as ``sha256sum`` writes them."""

_CHECKOUT = Path(__file__).parents[2]
_SCOPES = {None, "compile", "runtime"}
_TRIES = 4  # a repository that is asked for sixty jars in a row refuses one now and then
_REACH = "Check that Maven Central, or the repository that OWDD_MAVEN_REPOSITORY names, can be reached, then try again."


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


def resolve(pom: Path, progress: Progress = silent) -> Path:
    """The directory that holds the runtime dependencies of ``pom`` and nothing else.

    Blocks while they are fetched, the first time. Concurrent callers wait for each other, and a directory is either complete
    or not there.

    Raises:
        JarsUnavailable: a jar cannot be fetched, or the jars are not those of the lock.
    """
    root = cache_dir() / "jars"
    locked = pom.with_name(LOCK).read_text()
    kept = root / f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes() + locked.encode()).hexdigest()[:16]}"
    if kept.is_dir():
        return kept
    root.mkdir(parents=True, exist_ok=True)
    # One lock for all poms: they share jars, and two that fetch the same one would write into each other's file.
    with file_lock(root / "lock", lambda: progress("Waiting for another process that is fetching jars")):
        if not kept.is_dir():
            partial = kept.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for jar in fetch(pom, progress):
                _link(jar, partial / jar.name)
            if not set(checksums(partial).splitlines()) <= set(locked.splitlines()):
                raise JarsUnavailable(
                    f"The jars of {pom} are not those of {LOCK}.",
                    f"Empty {cache_dir() / 'maven'} and try again; after a change of the pom, run: make lock",
                )
            partial.rename(kept)
    return kept


def fetch(pom: Path, progress: Progress = silent) -> list[Path]:
    """The runtime dependencies of ``pom`` in the local repository, fetched if they are not there.

    Raises:
        JarsUnavailable: a pom or a jar cannot be fetched.
    """
    # Here, not above: it costs a third of a second, and nothing else of the testkit needs it.
    from jgo.maven import POM, MavenContext  # noqa: PLC0415

    # The system's CAs, as Maven and pip use: those that requests brings do not know a company's proxy.
    if authorities := ssl.get_default_verify_paths().cafile:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", authorities)
    named = os.environ.get("OWDD_MAVEN_REPOSITORY")
    context = MavenContext(repo_cache=cache_dir() / "maven", remote_repos={"named": named} if named else None)

    @retry(
        retry=retry_if_exception_type((OSError, RuntimeError)),
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(max=8),
        reraise=True,
    )
    def persistent(part: Callable[[], Path]) -> Path:
        return part()

    progress(f"Looking for the jars of {pom.parent.name}")
    try:
        _, nodes = context.pom_dependency_list(POM(pom))
        found = []
        for artifact in (node.dep.artifact for node in nodes if node.dep.scope in _SCOPES):
            found.append(persistent(artifact.resolve))
            progress(f"Fetched {artifact.filename}")
    except (OSError, RuntimeError, ValueError) as error:
        raise JarsUnavailable(f"The jars of {pom} cannot be fetched: {error}", _REACH) from error
    return found


def checksums(directory: Path) -> str:
    """The text of a lock: SHA-256 and name of every jar in ``directory``, by name."""
    return "".join(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in sorted(directory.glob("*.jar")))


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


def _link(jar: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        target.hardlink_to(jar)
    except OSError:
        shutil.copyfile(jar, target)
