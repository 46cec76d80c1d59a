"""Compile the Java program below ``java/`` and run it: Debezium's own classes, without a database, over made-up rows."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from streams.connect.render import Config, connector
from streams.mapping import load_mapping
from streams.settings import Settings
from testkit.local_services.jars import resolve
from testkit.local_services.java import find_java

HERE: Final = Path(__file__).parent
POM: Final = HERE / "pom.xml"
EVENTS: Final = HERE / "events.jsonl"

RECOMMENDED: Final = "recommended"
DEFAULT: Final = "default"
DEFAULT_PLAIN: Final = "default without schemas"

_SECONDS = 120
_MAIN = "io.debezium.connector.sqlserver.Golden"
_NEEDS_A_SITE = ("table.include.list", "column.include.list", "message.key.columns", "heartbeat.action.query")
_REQUIRED = ("database.hostname", "database.names", "topic.prefix")


def modes() -> dict[str, Config]:
    """Mode to the connector's configuration: what we render, and Debezium's defaults with and without inline schemas."""
    rendered = connector(load_mapping(), "sqlserver", Settings(dotdigital_user="", dotdigital_password=""))
    default = {key: rendered[key] for key in _REQUIRED}
    return {
        RECOMMENDED: {key: value for key, value in rendered.items() if key not in _NEEDS_A_SITE},
        DEFAULT: default,
        DEFAULT_PLAIN: default | {f"{part}.converter.schemas.enable": "false" for part in ("key", "value")},
    }


def generate() -> bytes:
    """The golden events: one JSON object a line, with ``case``, ``mode``, ``topic``, ``key``, ``value`` and ``headers``.

    Raises:
        RuntimeUnavailableError: there is no Java, or its jars cannot be fetched.
        CalledProcessError: the program does not compile, or a scenario emitted something else.
    """
    java = find_java()
    jars = resolve(POM)
    with TemporaryDirectory() as directory:
        settings = Path(directory, "modes.json")
        settings.write_text(json.dumps(modes()))
        compiler: list[str | Path] = [java.home / "bin" / "javac", "-Xlint:unchecked", "-cp", f"{jars}/*", "-d", directory]
        subprocess.run([*compiler, *sorted((HERE / "java").rglob("*.java"))], check=True, timeout=_SECONDS)
        program: list[str | Path] = [java.program, "-XX:TieredStopAtLevel=1", "-cp", f"{directory}:{jars}/*", _MAIN, settings]
        return subprocess.run(program, check=True, stdout=subprocess.PIPE, timeout=_SECONDS).stdout
