"""The ledger against a plain dictionary: same facts, same totals, bounded nodes, and nothing lost in a crash."""

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.order_tree import BRANCH_MAX, LEAF_MAX, Branch, Leaf, Node, TreeEntry, find, live_orders, merge, totals_of
from streams.domain.totals import combined, of_fact
from streams.domain.versioned import Versioned, version_bytes
from streams.messages.changes import OrderFact, Totals

Model = dict[int, Versioned[OrderFact]]

_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Node] = msgspec.msgpack.Decoder(Leaf | Branch).decode


class Disk:
    """Pages as bytes, with every write remembered in order, so that a crash can keep any beginning of them."""

    def __init__(self, pages: dict[int, bytes] | None = None, following: int = 1) -> None:
        self.pages = dict(pages or {})
        self.following = following
        self.saved: list[tuple[int, bytes]] = []
        self.freed: list[int] = []

    def load(self, page: int) -> Node:
        return _decode(self.pages[page])

    def save(self, page: int, node: Node) -> None:
        value = _encode(node)
        self.pages[page] = value
        self.saved.append((page, value))

    def new(self) -> int:
        self.following += 1
        return self.following - 1

    def free(self, page: int) -> None:
        self.freed.append(page)

    def finish(self) -> None:
        """What follows once the root is written."""
        for page in self.freed:
            del self.pages[page]
        self.saved, self.freed = [], []


def fact(number: int, *, credit: bool = False, cancelled: bool = False) -> OrderFact:
    return OrderFact(f"N{number}", number, "cancelled" if cancelled else "open", credit, Decimal(number) / 100, number)


def entry(order: int, position: int = 1, value: OrderFact | None = None) -> TreeEntry:
    return order, Versioned(version_bytes(position), value)


facts = st.none() | st.builds(fact, st.integers(-500, 500), credit=st.booleans(), cancelled=st.booleans())
entries = st.builds(entry, st.integers(0, 120), st.integers(0, 4), facts)
batches = st.lists(st.lists(entries, max_size=60), min_size=1, max_size=8)


def applied(model: Model, batch: Iterable[TreeEntry]) -> Model:
    """The model after a batch."""
    after = dict(model)
    for order, cell in batch:
        if order not in after or cell.position >= after[order].position:
            after[order] = cell
    return after


def totals(model: Model) -> Totals:
    return combined(of_fact(order, cell.row) for order, cell in sorted(model.items()) if cell.row is not None)


def reachable(node: Node, disk: Disk) -> list[int]:
    """Every page under ``node``, as often as it is referred to; checks the bounds and totals on the way."""
    if isinstance(node, Leaf):
        assert len(node.facts) <= LEAF_MAX
        return []
    assert 1 <= len(node.children) <= BRANCH_MAX
    firsts = [child.first for child in node.children]
    assert firsts == sorted(set(firsts))
    found = []
    for child in node.children:
        under = disk.load(child.page)
        assert child.totals == totals_of(under)
        found += [child.page, *reachable(under, disk)]
    return found


def depth(node: Node, disk: Disk) -> int:
    return 1 if isinstance(node, Leaf) else 1 + max(depth(disk.load(child.page), disk) for child in node.children)


def grown(ids: Iterable[int], batch: int) -> tuple[Node, Disk]:
    """A ledger filled with ``ids``, ``batch`` at a time."""
    disk, root, waiting = Disk(), Leaf(), list(ids)
    node: Node = root
    for start in range(0, len(waiting), batch):
        node = merge(node, [entry(order, 1, fact(order)) for order in waiting[start : start + batch]], disk)
        disk.finish()
    return node, disk


@settings(deadline=None)
@given(batches)
def test_it_holds_what_a_dictionary_would(found: list[list[TreeEntry]]) -> None:
    disk, model = Disk(), Model()
    root: Node = Leaf()
    for batch in found:
        root = merge(root, batch, disk)
        disk.finish()
        model = applied(model, batch)
        pages = reachable(root, disk)
        assert sorted(pages) == sorted(disk.pages), "a page leaked, is missing, or is used twice"
    assert totals_of(root) == totals(model)
    for order in range(121):
        held = model.get(order)
        assert find(root, order, disk) == (held.row if held else None)
    assert sorted(live_orders(root, disk)) == sorted(order for order, held in model.items() if held.row is not None)


@settings(deadline=None)
@given(batches)
def test_grouping_does_not_matter(found: list[list[TreeEntry]]) -> None:
    together = [item for batch in found for item in batch]
    disk = Disk()
    root = merge(Leaf(), together, disk)
    assert totals_of(root) == totals(applied({}, together))


@settings(deadline=None, max_examples=60)
@given(batches, st.lists(entries, min_size=1, max_size=60))
def test_a_crash_after_any_write_leaves_the_old_facts_or_the_new(found: list[list[TreeEntry]], last: list[TreeEntry]) -> None:
    disk, model = Disk(), Model()
    root: Node = Leaf()
    for batch in found:
        root = merge(root, batch, disk)
        disk.finish()
        model = applied(model, batch)
    before, following, root_before = dict(disk.pages), disk.following, _encode(root)
    after = applied(model, last)
    root_after = merge(root, last, disk)
    for kept in range(len(disk.saved) + 1):
        crashed = Disk(before | dict(disk.saved[:kept]), following)
        for order in range(121):
            read = find(_decode(root_before), order, crashed)
            assert read in (_row(model, order), _row(after, order))
        again = merge(_decode(root_before), last, crashed)
        assert totals_of(again) == totals(after)
        assert all(find(again, order, crashed) == _row(after, order) for order in range(121))
    for order in range(121):
        assert find(root_after, order, disk) == _row(after, order), "freed pages are still there until the root is"


def _row(model: Model, order: int) -> OrderFact | None:
    cell = model.get(order)
    return None if cell is None else cell.row


def test_a_merge_that_is_done_again_changes_nothing() -> None:
    batch = [entry(order, 1, fact(order)) for order in range(100)]
    disk = Disk()
    once = merge(Leaf(), batch, disk)
    disk.finish()
    assert _encode(merge(once, batch, disk)) == _encode(once)


def test_a_small_buyer_needs_no_page() -> None:
    root, disk = grown(range(LEAF_MAX), 1)
    assert isinstance(root, Leaf)
    assert not disk.pages


@pytest.fixture(scope="module")
def large() -> tuple[Node, Disk]:
    """A buyer with 50,000 orders, as they are born: ascending."""
    return grown(range(1, 50_001), 25)


def test_fifty_thousand_ascending_orders_are_four_deep(large: tuple[Node, Disk]) -> None:
    assert depth(*large) <= 4


def test_a_change_to_a_large_buyer_writes_few_pages(large: tuple[Node, Disk]) -> None:
    root, disk = large
    for order in range(1, 50_001, 997):
        root = merge(root, [entry(order, 2, fact(order))], disk)
        assert len(disk.saved) <= 3
        disk.finish()


def test_the_next_orders_of_a_large_buyer_write_few_pages() -> None:
    root, disk = grown(range(1, 50_001), 25)
    written = []
    for order in range(50_001, 50_201):
        root = merge(root, [entry(order, 1, fact(order))], disk)
        written.append(len(disk.saved))
        disk.finish()
    assert sum(written) / len(written) <= 4
    assert max(written) <= 2 * depth(root, disk)


def test_one_fact_at_a_time_is_as_shallow_as_many() -> None:
    assert depth(*grown(range(2_000), 1)) <= 4


def test_descending_orders_stay_shallow() -> None:
    root, disk = grown(range(600, 0, -1), 1)
    assert depth(root, disk) <= 4
    assert len(disk.pages) <= 600 / 4


def test_orders_in_any_order_leave_pages_at_least_a_third_full() -> None:
    shuffled = sorted(range(4_000), key=lambda order: order * 7919 % 4001)
    root, disk = grown(shuffled, 1)
    assert depth(root, disk) <= 5
    assert len(disk.pages) <= 4_000 / (LEAF_MAX / 3) * 1.2
