"""A receipt is finished when everybody has answered, and not before."""

from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from msgspec.structs import replace

from streams.messages.audit import Entry, ErasureRequested, ErasureResult, OperatorAction, write_audit
from streams.operations.erasure_receipt import Receipt, Receipts, StageReceipt

REQUEST = ErasureRequested(1, "dpo", "ab")
EVERYBODY = [
    ErasureResult("ab", "contacts", 1, 1, 10),
    ErasureResult("ab", "orders", 0, 2, 11),
    ErasureResult("ab", "orders", 1, 0, 12),
    ErasureResult("ab", "buyers", 0, 0, 13),
    ErasureResult("ab", "buyers", 1, 1, 14),
    ErasureResult("ab", "dotdigital", 1, 1, 15, "suppressed"),
]


class Topic:
    """The audit topic, told bit by bit."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._waiting = list(entries)

    async def getmany(self, timeout_ms: int) -> dict[str, list[Any]]:
        published, self._waiting = self._waiting[:2], self._waiting[2:]
        return {"place": [SimpleNamespace(value=write_audit(entry)) for entry in published]}


async def waited(entries: Iterable[Entry], patience: float, generations: Collection[int] = (0,)) -> Receipt:
    (receipt,) = await Receipts(cast(AIOKafkaConsumer, Topic(entries)), 2).wait([REQUEST], generations, patience)
    return receipt


async def test_it_adds_up_what_everybody_says() -> None:
    assert await waited(EVERYBODY, 60) == Receipt(
        "ab",
        1,
        "dpo",
        {
            "contacts": StageReceipt(1, 1, 1, 10),
            "orders": StageReceipt(2, 2, 2, 12),
            "buyers": StageReceipt(2, 2, 1, 14),
            "dotdigital": StageReceipt(1, 1, 1, 15),
        },
        ["suppressed"],
        15,
    )


async def test_it_is_not_finished_while_one_partition_is_silent_or_says_the_same_twice() -> None:
    silent = [*EVERYBODY[:4], EVERYBODY[3], EVERYBODY[5]]
    receipt = await waited(silent, 0.05)
    assert (receipt.finished_at, receipt.stages["buyers"]) == (None, StageReceipt(2, 1, 0))


async def test_other_entries_and_other_persons_do_not_count() -> None:
    others: list[Entry] = [OperatorAction(1, "ops", "drop", "x", 1, ["ingest/0@0"]), ErasureResult("cd", "contacts", 1, 1, 9)]
    receipt = await waited([*others, *EVERYBODY, ErasureResult("ab", "a stage of later releases", 0, 1, 9)], 60)
    assert receipt.finished_at == 15
    assert receipt.stages["contacts"].rows == 1


async def test_each_generation_of_the_joins_must_answer_and_no_other_counts() -> None:
    def by(generation: int) -> list[Entry]:
        return [replace(entry, generation=generation) for entry in EVERYBODY[:5]]

    receipt = await waited([*EVERYBODY, *by(2)[:4], *by(1)], 0.05, (0, 2))
    assert (receipt.finished_at, receipt.stages["buyers"]) == (None, StageReceipt(4, 3, 1))
    receipt = await waited([*EVERYBODY, *by(1), *by(2)], 60, (0, 2))
    assert receipt.finished_at == 15
    assert receipt.stages["orders"] == StageReceipt(4, 4, 4, 12)
