"""What the story of a contact is made of, as the workers and Kafka gave it."""

from dataclasses import dataclass, field

from streams.domain.buyers import AnyContribution, BuyerRow, is_person
from streams.domain.contact_projection import ContactRow
from streams.domain.order_tree import TreeEntry
from streams.domain.versioned import Versioned
from streams.dotdigital.contact_calls import Contact
from streams.mapping import Mapping
from streams.messages.contributions import BuyerContribution
from streams.messages.deliveries import TaskEvent
from streams.operations.state_queries import DeliveryReply, OrderReply


@dataclass(frozen=True, slots=True)
class BuyerMaterial:
    """One buyer: its row, and its newest orders by id."""

    row: BuyerRow
    orders: list[TreeEntry]


@dataclass(frozen=True, slots=True)
class Material:
    """One contact.

    Attributes:
        email: the address.
        at: when it was read, epoch ms.
        contact: what its buyers contribute.
        delivery: the outbox's rows.
        buyers: by key.
        orders: rows of the newest orders and credit notes, by id.
        events: the newest delivery events.
        live: what Dotdigital shows now; None: it has no such contact, or nobody looked (``looked`` False).
    """

    email: str
    at: int
    mapping: Mapping
    connector: str
    contact: ContactRow | None
    delivery: DeliveryReply
    buyers: dict[str, BuyerMaterial] = field(default_factory=dict)
    orders: dict[int, OrderReply] = field(default_factory=dict)
    events: list[TaskEvent] = field(default_factory=list)
    live: Contact | None = None
    looked: bool = False
    gaps: list[str] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, Versioned[AnyContribution]]:
        """What every buyer says about the address, by buyer."""
        return {} if self.contact is None else self.contact.parts

    @property
    def contributions(self) -> dict[str, BuyerContribution]:
        """Of the buyers that have the address now."""
        return {buyer: cell.row for buyer, cell in self.parts.items() if isinstance(cell.row, BuyerContribution)}

    def buyer_name(self, key: str) -> str:
        """A buyer as people call it."""
        if is_person(key):
            return "house orders of this address"
        found = self.buyers.get(key)
        customer = None if found is None or found.row.customer is None else found.row.customer.row
        return f"account {(customer.account if customer is not None else None) or key[1:]}"


def version_ms(position: bytes) -> int | None:
    """When a version of ours was made (epoch ms); None for the position of a captured row."""
    return int.from_bytes(position, "big") // 1000 if len(position) == 8 else None
