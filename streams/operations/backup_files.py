"""The files of a backup: one of records for each topic, compressed, and a manifest that says what they must hold.

They hold addresses: directory 0700, files 0600. A file of records is gzip over length (4 bytes, big endian) and msgpack.
"""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias, cast

import msgspec

from streams.core.errors import ConfigurationError, OwddError
from streams.core.files import write_private

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_LENGTH = 4
_LARGEST = 64 * 2**20
"""More than a broker takes: a length beyond it is damage, and must not be allocated."""


class BackupRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One record, where it stood."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class BackupTopic(msgspec.Struct, frozen=True, gc=False):
    """What one file must hold: so many ``records``, and its SHA-256; ``begins``: the first offset of each partition."""

    records: int
    sha256: str
    begins: dict[int, int]


class Manifest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a backup is of (``at``: epoch ms); topics by their field in :class:`~streams.messages.topics.Topics`, or table."""

    format: int
    at: int
    release: str
    app_id: str
    app_version: int
    partitions: int
    formats: dict[str, int]
    key_id: str
    topics: dict[str, BackupTopic]


Problem: TypeAlias = Literal["missing", "altered", "unreadable", "incomplete"]

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(BackupRecord).decode


class RecordFile:
    """A file of records that is being written."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.records = 0

    def append(self, record: BackupRecord) -> None:
        """Add one record."""
        packed = _pack(record)
        self._out.write(len(packed).to_bytes(_LENGTH) + packed)
        self.records += 1


@contextmanager
def new_record_file(directory: Path, topic: str) -> Iterator[RecordFile]:
    """A new file of a topic's records.

    Raises:
        OSError: it cannot be written, or exists.
    """
    descriptor = os.open(_path(directory, topic), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out, gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed:
        yield RecordFile(cast(IO[bytes], packed))


def sha256_of(directory: Path, topic: str) -> str:
    """The digest of a topic's file."""
    with _path(directory, topic).open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def read_records(directory: Path, topic: str) -> Iterator[BackupRecord]:
    """The records of a topic, one after the other.

    Raises:
        OwddError: the file is damaged.
    """
    try:
        with gzip.open(_path(directory, topic), "rb") as content:
            while prefix := content.read(_LENGTH):
                # What is cut short, or too long to be one of ours, is no msgpack of a record.
                yield _unpack(content.read(min(int.from_bytes(prefix), _LARGEST)))
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise OwddError("cannot be read", where=str(_path(directory, topic)), remedy="Take another backup") from error


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest, last of all: a backup without one is not complete."""
    write_private(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)), new=True)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        ConfigurationError: there is none, or another release's.
    """
    where = str(directory / MANIFEST)
    try:
        content = (directory / MANIFEST).read_bytes()
        number = msgspec.json.decode(content, type=dict[str, object]).get("format")
        if number != FORMAT:
            raise ConfigurationError(f"has format {number}, not {FORMAT}", where=where, remedy="Use the release that wrote it")
        return msgspec.json.decode(content, type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise ConfigurationError(
            "is no manifest of a complete backup", where=where, remedy="Name a backup's directory"
        ) from None


def problems(directory: Path, manifest: Manifest) -> dict[str, Problem]:
    """What is wrong with the files, by topic; nothing if all is as it was written."""
    found = {topic: _problem(directory, topic, expected) for topic, expected in manifest.topics.items()}
    return {topic: problem for topic, problem in found.items() if problem is not None}


def _problem(directory: Path, topic: str, expected: BackupTopic) -> Problem | None:
    if not _path(directory, topic).exists():
        return "missing"
    if sha256_of(directory, topic) != expected.sha256:
        return "altered"
    try:
        count = sum(1 for _ in read_records(directory, topic))
    except OwddError:
        return "unreadable"
    return None if count == expected.records else "incomplete"


def _path(directory: Path, topic: str) -> Path:
    return directory / f"{topic}.records.gz"
