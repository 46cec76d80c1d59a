"""The topics of one application by name, those between stages with the type of the changes that they carry.

:class:`ChangeTopic` is the only way into and out of a topic between stages: what emits must hand over the topic with a change
that it carries, or mypy objects; what consumes decodes with the topic's own decoder, which reads nothing else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, get_args

import msgspec

from streams.core.errors import RecordError
from streams.messages.change_heads import heads
from streams.messages.changes import Change, ChangeKind, pack
from streams.messages.kinds import BuyerChange, ContactChange, DesiredChange, OrderChange, ProductChange

C = TypeVar("C", bound=Change)


class ChangeTopic(str, Generic[C]):
    """The name of a topic that carries packed changes; ``C`` is the union of their kinds.

    ``generation`` is that of the joins which write to it in this process.
    """

    __slots__ = ("_decode", "generation", "kinds")

    kinds: frozenset[ChangeKind]
    generation: int
    _decode: Callable[[bytes], list[C]]

    @classmethod
    def of(cls, name: str, union: Any, generation: int = 0) -> "ChangeTopic[C]":
        """The topic called ``name``, which carries the kinds of ``union``."""
        topic: ChangeTopic[C] = cls(name)
        topic.generation = generation
        topic.kinds, topic._decode = _carried(union)
        return topic

    def pack(self, changes: Iterable[C]) -> bytes:
        """The value of one record that carries ``changes`` in order."""
        return pack(changes)

    def unpack(self, value: bytes | None) -> list[C]:
        """The changes of one record.

        Raises:
            RecordError: ``foreign_kind``, the topic carries no such change.
            msgspec.DecodeError: the value was written by an incompatible release, or by nobody of ours.
        """
        try:
            return self._decode(value or b"")
        except msgspec.ValidationError:
            # Looked at only now: the decoder has refused it already, and what can be read pays for no check.
            self._refuse_foreign_kinds(value or b"")
            raise

    def _refuse_foreign_kinds(self, value: bytes) -> None:
        for change in heads(value):
            if change.kind not in self.kinds:
                raise RecordError("foreign_kind", f"{self.rpartition('.')[2]} carries no {_name_of(change.kind)}")


@cache
def _carried(union: Any) -> tuple[frozenset[ChangeKind], Callable[[bytes], list[Any]]]:
    kinds = frozenset(change.kind for change in get_args(union))
    return kinds, msgspec.msgpack.Decoder(list[union]).decode


def _name_of(kind: int) -> str:
    try:
        return ChangeKind(kind).name
    except ValueError:
        # Another release may have kinds that this one does not know.
        return f"kind {kind}"


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of one application's topics."""

    orders: ChangeTopic[OrderChange]
    buyers: ChangeTopic[BuyerChange]
    contacts: ChangeTopic[ContactChange]
    products: ChangeTopic[ProductChange]
    desired: ChangeTopic[DesiredChange]
    deliveries: str
    parked: str
    dead_letters: str
    retries: str
    erasures: str
    audit: str
    removals: str
    controls: str
    setup: str
    replays: str
    replay_runs: str
    generations: str
    frozen_orders: str
    reconciliations: str

    @property
    def between_stages(self) -> tuple[ChangeTopic[Any], ...]:
        """Those that carry packed changes from one stage to the next."""
        return self.orders, self.buyers, self.contacts, self.products, self.desired

    @property
    def noted(self) -> frozenset[str]:
        """Those of which workers note what the broker has acknowledged: what nobody else can write again."""
        return frozenset([*self.between_stages, self.deliveries, self.frozen_orders])

    def between(self, name: str) -> ChangeTopic[Any] | None:
        """The topic between stages that is called ``name``, as a record of it says; None if it is none of them."""
        return next((topic for topic in self.between_stages if topic == name), None)

    def of_generation(self, generation: int) -> "Topics":
        """The same application's topics, of which the joins are of that generation."""
        return Topics.of(self.desired.removesuffix(".desired"), generation)

    @property
    def of_joins(self) -> tuple[ChangeTopic[Any], ...]:
        """Those that each generation of the joins has for itself."""
        return self.orders, self.buyers, self.contacts, self.products

    @classmethod
    def of(cls, app_id: str, generation: int = 0) -> "Topics":
        """The names for an application id, of which the joins are of that generation."""
        own = f"{app_id}.g{generation}" if generation else app_id
        return cls(
            orders=ChangeTopic.of(f"{own}.order-changes", OrderChange),
            buyers=ChangeTopic.of(f"{own}.buyer-changes", BuyerChange),
            contacts=ChangeTopic.of(f"{own}.contact-changes", ContactChange),
            products=ChangeTopic.of(f"{own}.product-changes", ProductChange),
            desired=ChangeTopic.of(f"{app_id}.desired", DesiredChange, generation),
            deliveries=f"{app_id}.deliveries",
            parked=f"{app_id}.parked-deliveries",
            dead_letters=f"{app_id}.dead-letters",
            retries=f"{app_id}.retries",
            erasures=f"{app_id}.erasures",
            audit=f"{app_id}.audit",
            removals=f"{app_id}.removals",
            controls=f"{app_id}.controls",
            setup=f"{app_id}.setup",
            replays=f"{app_id}.replays",
            replay_runs=f"{app_id}.replay-runs",
            generations=f"{app_id}.generations",
            frozen_orders=f"{app_id}.frozen-orders",
            reconciliations=f"{app_id}.reconciliations",
        )
