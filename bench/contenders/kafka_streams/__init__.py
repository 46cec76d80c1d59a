"""Kafka Streams, a peer in Java: its jars come from Maven Central, and its source is compiled when a benchmark begins."""

import subprocess
from pathlib import Path

from bench.errors import PeerUnavailable
from testkit.local_services.jars import resolve
from testkit.local_services.java import find_java
from testkit.local_services.start_errors import RuntimeUnavailableError

_HERE = Path(__file__).parent
# As much as the container of a small application has; by itself a JVM takes a quarter of the machine.
_OPTIONS = ("-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


def program(classes: Path) -> list[str]:
    """Compile the join into ``classes``, and the command that runs it.

    Raises:
        PeerUnavailable: there is no JDK, or the jars cannot be fetched.
    """
    try:
        java, jars = find_java(), f"{resolve(_HERE / 'pom.xml')}/*"
    except RuntimeUnavailableError as error:
        raise PeerUnavailable(str(error)) from error
    compiler = java.home / "bin" / "javac"
    if not compiler.exists():
        raise PeerUnavailable(f"{java.home} has no javac: install a JDK, or set JAVA_HOME to one.")
    subprocess.run([compiler, "-d", classes, "-cp", jars, *_HERE.glob("*.java")], check=True)
    return [str(java.program), *_OPTIONS, "-cp", f"{classes}:{jars}", "Join"]
