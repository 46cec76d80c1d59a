"""The index of a store finds each row by what it has now, whatever became of the store before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from streams.engine import row_index
from streams.engine.row_index import Lookup
from streams.engine.store import Store, read_only

NUMBER = Lookup(b"o", lambda _, value: value.decode() or None, b"key")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = opened(tmp_path)
    yield made
    made.close()


def opened(directory: Path, lookup: Lookup | None = NUMBER) -> Store:
    store = Store(directory / "orders-0.db", lookup)
    for _ in store.make_index():
        """Nothing else goes on."""
    return store


def put(store: Store, rows: dict[bytes, bytes | None]) -> None:
    store.write(rows, replace(store.note, offset=store.note.offset + len(rows)))


def found(store: Store, number: str) -> list[bytes]:
    return [key for key, _ in store.find(NUMBER.hash(number))]


def test_a_row_is_found_by_what_it_has_now(store: Store) -> None:
    put(store, {b"o1": b"A", b"o2": b"A", b"o3": b"B", b"o4": b"", b"x5": b"A"})
    assert (found(store, "A"), found(store, "B"), found(store, "")) == ([b"o1", b"o2"], [b"o3"], [])
    put(store, {b"o1": b"B", b"o2": None})
    assert (found(store, "A"), found(store, "B")) == ([], [b"o1", b"o3"])


def test_nothing_of_a_row_that_is_gone_stays(store: Store) -> None:
    put(store, {b"o1": b"A"})
    put(store, {b"o1": b"B"})
    put(store, {b"o1": None})
    assert list(store.keys(b"\0\0by:")) == []


def test_rows_alone_are_scanned_and_counted(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(store, {b"o%d" % number: b"A" for number in range(50)})
    assert len(list(store.scan(b""))) == 50
    assert store.rows() < 60, "RocksDB counts the engine's own rows too"
    store.close()
    assert len(list(read_only(tmp_path / "orders-0.db")[1])) == 50


@pytest.mark.parametrize("by", ["an older release", "another key", "nobody"])
def test_an_index_that_is_not_whole_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.setattr(row_index, "_SLICE", 7)
    store = opened(tmp_path)
    put(store, {b"o%d" % number: b"A" for number in range(40)})
    store.close()
    lookup = {"an older release": None, "another key": replace(NUMBER, hash_key=b"other"), "nobody": NUMBER}[by]
    store = opened(tmp_path, lookup)
    put(store, {b"o%d" % number: b"B" for number in range(20)})
    store.close()
    store = opened(tmp_path)
    assert (len(found(store, "A")), len(found(store, "B"))) == (20, 20)
    assert len(list(store.keys(b"\0\0by:"))) == 40
    store.close()


def test_an_emptied_store_has_no_index_until_it_is_made(store: Store) -> None:
    put(store, {b"o1": b"A"})
    store.empty()
    with pytest.raises(ValueError, match="no index"):
        store.find(NUMBER.hash("A"))
    put(store, {b"o2": b"A"})
    for _ in store.make_index():
        """Nothing else goes on."""
    assert found(store, "A") == [b"o2"]


def test_the_index_agrees_with_the_rows_after_any_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_index, "_REMEMBERED", 3)
    seed = Random().getrandbits(32)
    random, store = Random(seed), opened(tmp_path)
    for _ in range(300):
        keys = random.sample(range(12), 3)
        put(store, {b"o%d" % key: random.choice([None, b"", b"A", b"B", b"C"]) for key in keys})
        if random.random() < 0.05:
            store.close()
            store = opened(tmp_path)
        for number in "ABC":
            expected = [key for key, value in store.scan(b"o") if value == number.encode()]
            assert found(store, number) == expected, f"seed {seed}"
    store.close()
