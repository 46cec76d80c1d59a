"""A store has few files open, however large it is: the check at a worker's start relies on it."""

import os
from pathlib import Path

import pytest

from streams.engine import store as store_module
from streams.engine.store import MOST_FILES, Store, StorePosition


def test_a_store_of_many_tables_keeps_few_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_BUFFER_BYTES", 64 * 2**10)
    monkeypatch.setattr(store_module, "_TABLE_BYTES", 64 * 2**10)
    before = open_files()
    store = Store(tmp_path / "rows-0.db")
    for start in range(0, 50_000, 500):
        store.write({b"%06d" % number: os.urandom(200) for number in range(start, start + 500)}, StorePosition(start))
        assert open_files() - before <= MOST_FILES
    assert len(list((tmp_path / "rows-0.db").glob("*.sst"))) > MOST_FILES + 40
    for number in range(0, 50_000, 50):
        store.get(b"%06d" % number)
    assert open_files() - before <= MOST_FILES
    store.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
