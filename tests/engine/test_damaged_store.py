"""A store whose files are damaged is moved aside, or names the directory and the remedy; it is never taken for a smaller one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.engine.store import Store, StorePosition
from streams.engine.store_errors import DamagedStoreError, StoreError, store_error

ROWS = 30_000


def file_of(path: Path, pattern: str) -> Path:
    return sorted(path.glob(pattern))[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store of many blocks in one table file."""
    path = tmp_path / "rows-0.db"
    store = Store(path)
    for start in range(0, ROWS, 1000):
        store.write({b"%06d" % number: os.urandom(200) for number in range(start, start + 1000)}, StorePosition(start))
    store._db.flush()
    store._db.compact_range(None, None)
    store.close()
    return path


def garble(file: Path, start: int = 0, size: int = 20_000) -> None:
    content = bytearray(file.read_bytes())
    content[start : start + size] = bytes(len(content[start : start + size]))
    file.write_bytes(content)


def test_an_undamaged_store_is_whole(path: Path) -> None:
    store = Store(path)
    assert sum(1 for _ in store.scan(b"")) == ROWS
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: garble(path / "CURRENT"),
        lambda path: (path / "CURRENT").unlink(),
        lambda path: garble(file_of(path, "MANIFEST-*")),
        lambda path: file_of(path, "MANIFEST-*").unlink(),
        lambda path: file_of(path, "*.sst").unlink(),
        lambda path: os.truncate(file_of(path, "*.sst"), 1000),
    ],
    ids=["CURRENT garbled", "CURRENT gone", "MANIFEST garbled", "MANIFEST gone", "table gone", "table cut"],
)
def test_a_store_that_cannot_be_opened_is_moved_aside(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    store = Store(path)
    assert store.note.offset == -1 and not list(store.scan(b"")), "what is left would pass for the whole"
    assert path.with_suffix(".damaged").is_dir()
    store.close()


def test_damage_that_only_a_read_finds_ends_the_worker_and_is_moved_aside_at_the_next_start(path: Path) -> None:
    garble(file_of(path, "*.sst"), 3_000_000)
    store = Store(path)
    with pytest.raises(DamagedStoreError, match=str(path)):
        # rocksdict's iterator ends here as if there was nothing more.
        list(store.scan(b""))
    with pytest.raises(DamagedStoreError):
        for number in range(ROWS):
            store.get(b"%06d" % number)
    store.close()
    for _ in range(2):
        store = Store(path)
        assert store.note.offset == -1 and not list(store.scan(b""))
        store.close()
    assert [found.name for found in sorted(path.parent.iterdir())] == ["rows-0.damaged", "rows-0.db"]


@pytest.mark.parametrize(
    "text",
    [
        "IO error: While open a file for random read: /d/9.sst: Too many open files",
        "Corruption: IO error: While open a file for random read: /d/9.sst: Too many open files The file may be corrupted.",
        "IO error: While pread offset 0 len 4096: /d/9.sst: Input/output error",
        "IO error: While fsync: /d/8.log: No space left on device",
        "IO error: lock hold by current process: /d/LOCK: No locks available",
    ],
)
def test_a_failing_disk_is_no_damage_and_the_error_names_the_directory_and_the_remedy(text: str) -> None:
    error = store_error(Path("/d/rows-0.db"), Exception(text))
    assert type(error) is StoreError
    assert error.where == "/d/rows-0.db" and error.remedy
