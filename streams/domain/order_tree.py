"""A buyer's orders and credit notes in a B+ tree whose branches carry totals.

A trade account with 50,000 orders must cost the same per change as one with ten, so no row may grow with the history: a
change rewrites one leaf and the branches above it, three small rows. The root lives inside the buyer's own row; a small
buyer has no other. Totals are recomputed from the children, never incremented, so a replay cannot count twice.

A crash may leave a prefix of the rows that a merge wrote. Therefore a split writes its pieces to *new* pages and frees the
old one last: until the parent is written, the old tree is whole.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias

import msgspec

from streams.domain.totals import combined, of_fact
from streams.domain.versioned import Versioned, is_not_older
from streams.messages.changes import OrderFact, Totals

LEAF_MAX = 16
BRANCH_MAX = 24


class Leaf(msgspec.Struct, array_like=True, tag=0, gc=False):
    """Facts by order id; a deleted one stays as an empty cell, so that an older version cannot return."""

    facts: dict[int, Versioned[OrderFact]] = {}


class Child(msgspec.Struct, array_like=True, gc=False):
    """A subtree: the lowest order id that belongs there, its page, its totals."""

    first: int
    page: int
    totals: Totals


class Branch(msgspec.Struct, array_like=True, tag=1, gc=False):
    """Subtrees in ascending order; the first one also takes ids below its ``first``."""

    children: list[Child]


Node: TypeAlias = Leaf | Branch
TreeEntry: TypeAlias = tuple[int, Versioned[OrderFact]]


class Pages(Protocol):
    """Where the nodes below the root are kept. Writes reach the changelog in the order in which they are made."""

    def load(self, page: int) -> Node:
        """The node on ``page``, which exists."""

    def save(self, page: int, node: Node) -> None:
        """Write ``node`` to ``page``."""

    def new(self) -> int:
        """A page number that is not in use."""

    def free(self, page: int) -> None:
        """Forget ``page``, once the buyer's own row is written."""


def totals_of(node: Node) -> Totals:
    """The totals over everything under ``node``."""
    if isinstance(node, Leaf):
        return combined([of_fact(order, cell.row) for order, cell in node.facts.items() if cell.row is not None])
    return combined([child.totals for child in node.children])


def find(node: Node, order: int, pages: Pages) -> OrderFact | None:
    """The fact of one order."""
    while isinstance(node, Branch):
        node = pages.load(node.children[_place(node, order)].page)
    cell = node.facts.get(order)
    return None if cell is None else cell.row


def live_orders(node: Node, pages: Pages) -> Iterator[int]:
    """The orders and credit notes that are there; reads every page."""
    if isinstance(node, Branch):
        for child in node.children:
            yield from live_orders(pages.load(child.page), pages)
    else:
        yield from (order for order, cell in node.facts.items() if cell.row is not None)


def newest(node: Node, pages: Pages) -> Iterator[TreeEntry]:
    """The facts from the highest order id down; reads pages as they are needed."""
    if isinstance(node, Branch):
        for child in reversed(node.children):
            yield from newest(pages.load(child.page), pages)
    else:
        yield from sorted(node.facts.items(), key=lambda entry: entry[0], reverse=True)


def merge(root: Node, entries: Iterable[TreeEntry], pages: Pages) -> Node:
    """The root after ``entries``; facts older than what is there are skipped."""
    pieces = _merge(root, sorted(entries, key=lambda entry: entry[0]), pages)
    while len(pieces) > 1:
        children = [_saved(piece, pages.new(), pages) for piece in pieces]
        pieces = [Branch(part) for part in _chunks(children, BRANCH_MAX, at_end=True)]
    return pieces[0]


def _merge(node: Node, entries: Sequence[TreeEntry], pages: Pages) -> list[Node]:
    if isinstance(node, Leaf):
        return _merge_leaf(node, entries)
    children: list[Child] = []
    start = 0
    for index, child in enumerate(node.children):
        stop = start
        while stop < len(entries) and _place(node, entries[stop][0]) == index:
            stop += 1
        if stop == start:
            children.append(child)
            continue
        pieces = _merge(pages.load(child.page), entries[start:stop], pages)
        if len(pieces) == 1:
            children.append(_saved(pieces[0], child.page, pages, first=child.first))
        else:
            # A split gets new pages, and the old one goes behind the buyer's row: the changelog always holds a whole tree.
            children.extend(_saved(piece, pages.new(), pages) for piece in pieces)
            pages.free(child.page)
        start = stop
    at_end = bool(entries) and _place(node, entries[0][0]) == len(node.children) - 1
    return [Branch(part) for part in _chunks(children, BRANCH_MAX, at_end=at_end)]


def _merge_leaf(leaf: Leaf, entries: Sequence[TreeEntry]) -> list[Node]:
    facts = dict(leaf.facts)
    for order, cell in entries:
        if is_not_older(facts.get(order), cell.position):
            facts[order] = cell
    if len(facts) <= LEAF_MAX:
        return [Leaf(facts)]
    at_end = not leaf.facts or entries[0][0] > max(leaf.facts)
    return [Leaf(dict(part)) for part in _chunks(sorted(facts.items()), LEAF_MAX, at_end=at_end)]


def _chunks(items: list, most: int, *, at_end: bool) -> list[list]:  # type: ignore[type-arg]  # any item type; TypeVar adds nothing
    """``items`` in runs of at most ``most``.

    What grew ``at_end``, as new orders do, leaves full runs behind; anything else is cut evenly, or ids that arrive
    descending would leave runs of one, and a tree as deep as it is wide.
    """
    if len(items) <= most:
        return [items]
    size = most if at_end else -(-len(items) // -(-len(items) // most))
    return [items[start : start + size] for start in range(0, len(items), size)]


def _place(branch: Branch, order: int) -> int:
    return max(0, bisect_right(branch.children, order, key=lambda child: child.first) - 1)


def _saved(node: Node, page: int, pages: Pages, first: int | None = None) -> Child:
    pages.save(page, node)
    lowest = min(node.facts) if isinstance(node, Leaf) else node.children[0].first
    return Child(lowest if first is None else min(first, lowest), page, totals_of(node))
