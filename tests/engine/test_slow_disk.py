"""A store whose disk is behind takes no more writes for a while; the event loop goes on meanwhile."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import streams.engine.store as store_module
from streams.engine.row_index import Lookup
from streams.engine.store import Store, StorePosition

STALLED = {
    "level0_file_num_compaction_trigger": "1000",
    "level0_slowdown_writes_trigger": "1000",
    "level0_stop_writes_trigger": "1",
}
FREE = {"level0_stop_writes_trigger": "1000"}
LOOKUP = Lookup(b"r", lambda _, value: value.decode(), b"key")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one file, which is the most that it may have until :data:`FREE`."""
    store = Store(tmp_path / "rows-0.db", LOOKUP)
    for _ in store.make_index():
        pass
    store.write({b"r1": b"ann"}, StorePosition(0))
    store._db.flush()
    store._db.set_options(STALLED)
    yield store
    store.close()


async def test_the_loop_turns_until_the_write_is_taken(store: Store) -> None:
    writing = asyncio.create_task(store.write_in_turn({b"r1": b"bob", b"r2": b"cyd"}, StorePosition(2), stale=iter([b"old"])))
    await asyncio.wait([writing], timeout=0.2)
    assert not writing.done() and (store.get(b"r1"), store.note.offset) == (b"ann", 0)
    store._db.set_options(FREE)
    async with asyncio.timeout(60):
        await writing
    assert (store.get(b"r1"), store.get(b"r2"), store.note.offset, store.stale()) == (b"bob", b"cyd", 2, [b"old"])


async def test_the_index_is_that_of_the_rows_however_often_the_write_was_tried(store: Store) -> None:
    writing = asyncio.create_task(store.write_in_turn({b"r1": b"bob", b"r2": b"cyd"}, StorePosition(2)))
    await asyncio.wait([writing], timeout=0.2)
    store._db.set_options(FREE)
    async with asyncio.timeout(60):
        await writing
    found = {name: [key for key, _ in store.find(LOOKUP.hash(name))] for name in ("ann", "bob", "cyd")}
    assert found == {"ann": [], "bob": [b"r1"], "cyd": [b"r2"]}
    assert store._index is not None and store._index.entries == 2


async def test_a_write_that_waits_long_is_logged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_SLOW_SECONDS", 0.01)
    with capture_logs() as logged:
        writing = asyncio.create_task(store.write_in_turn({b"r1": b"bob"}, StorePosition(1)))
        async with asyncio.timeout(60):
            while not logged:
                await asyncio.sleep(0.01)
            store._db.set_options(FREE)
            await writing
    assert logged[0]["event"] == "state waits for the disk"
