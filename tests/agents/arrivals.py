"""Small shops in time: every version of every row, as strategies."""

from functools import partial

from hypothesis import strategies as st

from streams.messages.changes import ChangeKind
from tests.agents.pipeline import (
    ANN,
    BOB,
    EVE,
    HOUSE,
    LOOKUP,
    OPEN,
    SENT,
    Step,
    customer,
    despatch,
    detail,
    header,
    item,
    line,
    of_order,
    person,
    returned,
    status,
    total,
)


@st.composite
def timelines(draw: st.DrawFn) -> list[list[Step]]:
    """Versions of each row of a small shop, oldest first.

    Nothing that could be worked out once can not be in the end: what is frozen depends on which version of which table came
    first, and has a property of its own. So does what was bought under another name.
    """
    some = st.integers(1, 2)
    kinds = st.sampled_from([1, 1, 4, 2])
    addresses = st.lists(st.sampled_from([ANN, BOB, EVE]), unique=True, max_size=2)
    nets = st.sampled_from([None, "1", "0.505"])
    texts = st.sampled_from([OPEN, SENT, "cancelled"])
    found: list[list[Step]] = []
    for order in (1, 2, 3):
        customers = st.sampled_from([1, 2, HOUSE])
        numbers = st.sampled_from([f"SO{order}", f"SO{order}", f"XO{order}", None])
        statuses = draw(st.sampled_from([some, some, st.just(3)]))
        found.append(
            [
                draw(st.builds(partial(header, order, at=at), customers, sort=kinds, status=statuses, number=numbers))
                for at in (1, 2)
            ]
        )
        found.append([total(order, draw(st.sampled_from(["1", "2.505"])), at) for at in range(1, draw(some) + 1)])
        place, moves = order, []
        for at in range(1, draw(some) + 1):
            former, place = (place if at > 1 else None), draw(st.integers(1, 3))
            original, variant = draw(st.sampled_from([None, 11, 12])), draw(st.sampled_from([None, 1, 2]))
            moves.append(line(place, 10 + order, original, at, former, variant=variant, quantity="2", net=draw(nets)))
        found.append(moves)
        owners = st.sampled_from([None, ANN, EVE])
        found.append([detail(order, draw(owners), draw(st.sampled_from([None, 2])), at) for at in range(1, draw(some) + 1)])
    found.append([despatch(2, 1, draw(st.integers(5, 9)), at) for at in (1, 2)])
    found.append([returned(draw(st.integers(1, 2)), 1, "R1")])
    for pk in (1, 2):
        sku = draw(st.sampled_from(["X", "Y"]))
        found.append([item(pk, draw(st.sampled_from([sku, None])), at=at) for at in range(1, draw(some) + 1)])
    found.append([status(3, draw(st.sampled_from(["never heard of", None])))])
    for pk in (1, 2):
        versions = [status(pk, draw(texts), at) for at in range(2, draw(some) + 2)]
        if draw(st.booleans()):
            versions.insert(0, status(pk, draw(st.sampled_from(["never heard of", None])), 1))
        found.append(versions)
        found.append([customer(pk, *draw(addresses), at=at) for at in range(1, draw(some) + 1)])
        account, versions = 1, []
        for at in range(1, draw(st.integers(1, 3)) + 1):
            before, account = account, draw(some)
            former = before if at > 1 and before != account else None
            opted = draw(st.sampled_from([True, False, None]))
            versions.append(person(pk, account, *draw(addresses), at=at, former=former, opted=opted))
        found.append(versions)
    return found


@st.composite
def shops(draw: st.DrawFn) -> list[list[Step]]:
    """Versions of each row of a shop whose documents are mostly live: two accounts, a house account, orders, credit notes."""
    found: list[list[Step]] = [[LOOKUP], [status(3, "cancelled")]]
    emails = st.sampled_from([ANN, BOB, EVE])
    nets = st.sampled_from(["1", "2.505", "10"])

    def some(most: int = 2) -> range:
        return range(1, draw(st.integers(1, most)) + 1)

    for order in (1, 2):
        numbers = st.sampled_from([f"SO{order}", f"SO{order}", f"XO{order}", None])
        found.append(
            [
                header(
                    order,
                    draw(st.sampled_from([1, 2, HOUSE])),
                    status=draw(st.sampled_from([1, 1, 2, 3])),
                    number=draw(numbers),
                    at=at,
                )
                for at in some(3)
            ]
        )
        found.append([total(order, draw(nets), at) for at in some()])
        found.append([detail(order, draw(emails), draw(st.sampled_from([1, 2])), at) for at in some()])
        place, moves = order, []
        for at in some(3):
            former, place = (place if at > 1 else None), draw(st.integers(1, 2))
            moves.append(
                line(place, 10 + order, at=at, former=former, variant=draw(st.sampled_from([1, 2])), quantity="2", net="3")
            )
        found.append(moves)
        sku = draw(st.sampled_from(["X", "Y"]))
        found.append([item(order, sku, at=at) for at in some(3)])
    for note in (3, 4):
        sorts = st.sampled_from([4, 4, 4, 1])
        found.append(
            [
                header(
                    note, draw(st.sampled_from([1, HOUSE])), sort=draw(sorts), status=draw(st.sampled_from([1, 1, 3])), at=at
                )
                for at in some(3)
            ]
        )
        found.append([total(note, draw(nets), at) for at in some()])
        found.append([detail(note, draw(emails))])
        found += [[line(note, 10 * note + original, original, at, net=draw(nets)) for at in some()] for original in (11, 12)]
    found.append([returned(1, 1, "R1"), of_order(ChangeKind.RETURN, 1, 1, None, 2)][: draw(st.integers(1, 2))])
    for pk in (1, 2):
        found.append([customer(pk, draw(emails), at=at) for at in some()])
        found.append([person(pk, 1, *draw(st.lists(emails, unique=True, max_size=2)), at=at) for at in some(3)])
    return found
