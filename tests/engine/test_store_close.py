"""A closed store frees its files, whatever was still being read from it."""

from pathlib import Path

import pytest

from streams.engine.store import Store, StorePosition


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "store")
    opened.write({b"a": b"1", b"b": b"2"}, StorePosition(offset=1))
    return opened


def test_a_store_is_opened_again_though_nobody_finished_reading_it(store: Store, tmp_path: Path) -> None:
    reading = store.scan(b"")
    next(reading)
    # What is in a cycle of references lives until the collector comes.
    cycle: list[object] = [reading]
    cycle.append(cycle)
    del reading, cycle
    store.close()
    again = Store(tmp_path / "store")
    assert list(again.scan(b"")) == [(b"a", b"1"), (b"b", b"2")]
    again.close()


def test_closing_a_store_that_nobody_reads_collects_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker closes dozens at a rebalance, and a collection of everything takes longer than all the rest."""

    def collect() -> int:
        raise AssertionError("nothing is open")

    list(store.scan(b""))
    next(store.keys(b""))
    monkeypatch.setattr("gc.collect", collect)
    store.close()
