"""Generations of the joins: which of them the outbox obeys, and which it only keeps the wishes of.

A generation is the joins under one mapping, built from the captured topics by workers of its own (``OWDD_GENERATION``).
Any number of them may speak to the one outbox; one is active. Their fate is ordered in every partition of topic
``desired``, so each partition follows in the order in which it also reads what they want. Topic ``generations`` remembers the
orders, and what the partitions have reported. Nothing here names a person.
"""

from typing import Final, Literal, TypeAlias

import msgspec

OUTBOX: Final = "outbox"
"""The sender of the barriers behind what a new generation learns from the outbox."""
FROZEN_ORDERS: Final = "frozen-orders"
"""The sender of the barriers behind what there was in that topic when the generation began."""
PARTITION: Final = 0
"""The partition of topic ``generations`` that holds everything: it is little."""

GenerationStep: TypeAlias = Literal["begin", "activate", "drop"]
"""What an operator orders of a generation."""


class GenerationOrder(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order to every partition of the outbox.

    Attributes:
        step: ``begin``: keep what this generation wants, without effect. ``activate``: obey it from now on, and keep what
            the one before wants. ``drop``: forget what it wants.
        generation: of which generation.
        number: the activation's, higher than all before it.
        senders: to begin with: those of the barriers of round 0 (:mod:`streams.messages.barriers`).
        joins: to begin with: the stages of its joins.
    """

    step: GenerationStep
    generation: int
    number: int = 0
    senders: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()


class HeldOrder(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order is held: where its record should be, and what it should say, is not known. ``held`` False: it is known now."""

    held: bool


class Generation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A generation as topic ``generations`` has it, under ``generation/<number>``.

    Attributes:
        number: the generation's.
        by: who began it.
        began: when (epoch ms).
        ends: by captured topic, the end of each partition when it began: so far it must read to be complete.
        activated: the number of its newest activation; 0: it has never taken effect.
        dropped: it is forgotten, and its topics may be deleted.
    """

    number: int
    by: str
    began: int
    ends: dict[str, list[int]]
    activated: int = 0
    dropped: bool = False

    @property
    def senders(self) -> tuple[str, ...]:
        """Those of the barriers behind everything that it must read, and must learn of what the outbox knows."""
        return (*sorted(self.ends), OUTBOX, FROZEN_ORDERS)


class Activation(msgspec.Struct, frozen=True, gc=False):
    """The newest activation, under ``activation``: the outbox obeys ``generation`` since then; ``back`` to a former one.

    ``former``: the generation that it obeyed before; None: a release wrote this that did not note it.
    """

    number: int
    generation: int
    by: str
    at: int
    back: bool = False
    former: int | None = None


class PartitionReport(msgspec.Struct, frozen=True, gc=False):
    """A partition of the outbox has everything that a generation wants (``complete``), or has switched to it.

    Under ``<word>/<number>/<partition>``; ``number`` is the generation's, or the activation's.
    """

    word: Literal["complete", "switched"]
    number: int
    partition: int
    at: int


FIRST: Final = Activation(0, 0, "", 0)
"""Before the first one: the joins that every site begins with."""
ACTIVATION_KEY: Final = b"activation"
_GENERATION, _REPORTS = b"generation/", (b"complete/", b"switched/")


def generation_key(number: int) -> bytes:
    """The key of a generation's record."""
    return _GENERATION + str(number).encode()


def report_key(report: PartitionReport) -> bytes:
    """The key of a partition's report."""
    return f"{report.word}/{report.number}/{report.partition}".encode()


def is_generation(key: bytes) -> bool:
    """Whether a record under ``key`` is a :class:`Generation`."""
    return key.startswith(_GENERATION)


def is_report(key: bytes) -> bool:
    """Whether a record under ``key`` is a :class:`PartitionReport`."""
    return key.startswith(_REPORTS)


write_generations = msgspec.json.Encoder().encode
"""The value of a record of topic ``generations``."""
read_generation = msgspec.json.Decoder(Generation).decode
"""A generation; raises msgspec.DecodeError if it is none."""
read_activation = msgspec.json.Decoder(Activation).decode
"""An activation; raises msgspec.DecodeError if it is none."""
read_report = msgspec.json.Decoder(PartitionReport).decode
"""A partition's report; raises msgspec.DecodeError if it is none."""
