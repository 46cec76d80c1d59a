"""A set of ids from which a random one can be drawn at once, and always the same one for the same seed."""

import random
from collections.abc import Iterator


class Pool:
    """Ids in a list with their places, so that drawing, adding and removing cost the same for ten and for a million."""

    def __init__(self) -> None:
        self._items: list[int] = []
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: int) -> bool:
        return item in self._places

    def __iter__(self) -> Iterator[int]:
        return iter(self._items)

    def add(self, item: int) -> None:
        if item not in self._places:
            self._places[item] = len(self._items)
            self._items.append(item)

    def discard(self, item: int) -> None:
        place = self._places.pop(item, None)
        if place is None:
            return
        last = self._items.pop()
        if last != item:
            self._items[place] = last
            self._places[last] = place

    def draw(self, rng: random.Random) -> int | None:
        """A random id, which stays in the pool; None when there is none."""
        return rng.choice(self._items) if self._items else None
