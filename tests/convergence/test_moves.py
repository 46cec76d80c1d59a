"""With ``contact.on_move: rename`` contacts go along with their people, however often the worker dies on the way."""

import asyncio
from pathlib import Path
from random import Random

from streams.worker import Role
from testkit.oracle.sandbox import read_account
from testkit.simulate.tables import CONTACT, OPT_IN
from tests.convergence.convergence_harness import revived, stack
from tests.convergence.written_rows import WrittenRows

WORKER = "worker"
PLAIN, CHAIN, BACK, OUT, SWAP = range(10, 14), range(20, 24), range(30, 34), range(40, 44), range(50, 54)
ROUNDS = (
    [(key, f"b{key}@example.com") for key in (*PLAIN, *CHAIN, *BACK, *OUT)]
    + [(key, f"a{key ^ 1}@example.com") for key in SWAP],
    [(key, f"c{key}@example.com") for key in CHAIN] + [(key, f"a{key}@example.com") for key in BACK],
)
"""Who has which address after each round of moves; everybody begins at the ``a`` of their key, two by two change places."""


async def test_contacts_go_along_with_their_people_while_the_worker_dies(tmp_path: Path, broker: Path) -> None:
    rng = Random(12)
    async with stack(tmp_path, broker, "moves", consent=True, partitions=3, renames=True) as running:
        await running.start_worker(*Role, name=WORKER)
        shop = WrittenRows(running)
        for key in (*PLAIN, *CHAIN, *BACK, *OUT, *SWAP):
            shop.person(key, f"a{key}@example.com", opt_in=True)
        await shop.open()
        await running.settled()
        before = contacts(shop)
        assert {status for _, status in before.values()} == {"subscribed"}

        for moves in ROUNDS:
            for key, email in moves:
                leaves = {OPT_IN: False} if key in OUT else {}
                await shop.update(CONTACT, key, cc_email=email, **leaves)
                if key % 4 == 3:
                    # In the middle of whatever it makes of the moves so far.
                    await asyncio.sleep(rng.uniform(0, 1))
                    await running.kill(WORKER)
                    await revived(running)
        await running.settled()

        assert shop.differences() == []
        after = contacts(shop)
        for keys, place in ((PLAIN, "b"), (CHAIN, "c"), (BACK, "a"), (OUT, "b"), (SWAP, "a")):
            for key in keys:
                was, now = before[f"a{key}@example.com"], after[f"{place}{key}@example.com"]
                assert now == (was[0], "unsubscribed" if keys is OUT else "subscribed"), (key, place)
        assert len(after) == len(before)


def contacts(shop: WrittenRows) -> dict[str, tuple[int, str | None]]:
    """Id and status of every contact that is not in the bin."""
    account = read_account(shop.running.settings.dotdigital_url)
    return {one.email: (one.id, one.status) for one in account.contacts if not one.binned}
