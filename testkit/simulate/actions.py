"""One thing that can happen in the shop, and the deck from which a run deals them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something that happens in one commit.

    ``run`` returns False, and has written nothing, when the shop has nothing that it could happen to.
    """

    name: str
    weight: float
    run: Callable[[], bool]
    descending: bool = False


def deal(actions: Sequence[Action], count: int, rng: random.Random) -> list[Action]:
    """``count`` actions in random order, in proportion to their weights, each at least twice where there is room."""
    if count < 5 * len(actions):
        return rng.choices(actions, [action.weight for action in actions], k=count)
    total = sum(action.weight for action in actions)
    deck: list[Action] = []
    for action in sorted(actions, key=lambda action: action.weight):
        deck += [action] * max(2, round(count * action.weight / total))
    # The commonest actions came last: they give way to the minimum of the rare ones.
    del deck[count:]
    deck += rng.choices(actions, [action.weight for action in actions], k=count - len(deck))
    rng.shuffle(deck)
    return deck
