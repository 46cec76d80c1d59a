"""The rendered files of a site: the connector's configuration and the DBA's scripts, and whether they are up to date."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.connect.render import connector
from streams.connect.sql import SCRIPTS, script
from streams.kafka.capture_topics import CaptureNames
from streams.mapping import Mapping
from streams.settings import Settings, SourceKind


@dataclass(frozen=True, slots=True)
class Rendered:
    """The name and the desired text of a file."""

    name: str
    text: str

    def is_current(self, directory: Path) -> bool:
        """Whether the file exists in ``directory`` with this text."""
        file = directory / self.name
        return file.is_file() and file.read_text("utf-8") == self.text

    def write(self, directory: Path) -> Path:
        """Write the file into ``directory``, which is created if necessary."""
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / self.name
        file.write_text(self.text, "utf-8")
        return file


def configuration_file(mapping: Mapping, kind: SourceKind, settings: Settings) -> Rendered:
    """The connector's configuration, named after the connector."""
    text = msgspec.json.format(msgspec.json.encode(connector(mapping, kind, settings)), indent=2).decode()
    return Rendered(f"{CaptureNames.of(mapping, kind).connector}.json", text + "\n")


def script_files(mapping: Mapping, settings: Settings) -> list[Rendered]:
    """All the DBA's scripts."""
    return [Rendered(f"{name}.sql", script(name, mapping, settings)) for name in SCRIPTS]
