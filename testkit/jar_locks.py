"""Write ``jars.lock`` beside each pom that is named: ``make lock``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from testkit.local_services.jars import LOCK, checksums, fetch

_SPACE = {"pom": "http://maven.apache.org/POM/4.0.0"}


def main() -> None:
    """Fetch the jars of every pom among the arguments, for every platform, and write down which they are."""
    for pom in map(Path, sys.argv[1:]):
        with TemporaryDirectory() as directory:
            kept = Path(directory, "jars")
            kept.mkdir()
            for number, text in enumerate(_platforms(pom)):
                platform = Path(directory, f"pom-{number}.xml")
                platform.write_text(text)
                for jar in fetch(platform):
                    link = kept / jar.name
                    link.unlink(missing_ok=True)
                    link.symlink_to(jar)
            pom.with_name(LOCK).write_text(checksums(kept))


def _platforms(pom: Path) -> Iterator[str]:
    """The pom without profiles, as it is and with the properties of each profile: a profile stands for a platform."""
    project = ET.parse(pom).getroot()  # noqa: S314 - our own file
    profiles = project.find("pom:profiles", _SPACE)
    if profiles is None:
        profiles = ET.Element("profiles")
    else:
        project.remove(profiles)
    yield ET.tostring(project, encoding="unicode")
    for replacement in profiles.iterfind("pom:profile/pom:properties/*", _SPACE):
        for found in project.iterfind(f"pom:properties/{replacement.tag}", _SPACE):
            found.text = replacement.text
        yield ET.tostring(project, encoding="unicode")


if __name__ == "__main__":
    main()
