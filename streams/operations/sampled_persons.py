"""Which persons a sample holds, and which rows belong to them.

A sample is the addresses with the smallest keyed digests: the same ones whenever it is taken, whatever else the topics hold,
and known after one reading in bounded memory. The largest of those digests says how many addresses there are in all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappush, heapreplace

from streams.capture.rows import CapturedRow, Contact, Customer, Detail, Header
from streams.domain.orders import customer_key
from streams.messages.changes import EVERYWHERE, Change
from streams.messages.topics import Topics

_DIGESTS = 2**64


@dataclass(slots=True)
class _Person:
    """The keys under which an address has rows: of buyers, and of orders that have it on them."""

    buyers: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)


class SampledPersons:
    """At most ``most`` persons; ``key`` is that of the digests.

    To be shown changes of rows in three passes: ``find_person``, then ``choose``, ``find_order`` and ``find_stranger``. Then
    ``wants`` knows which changes the joins need to work out everything of these persons.
    """

    def __init__(self, most: int, key: bytes, topics: Topics) -> None:
        self._most = most
        self._key = key
        self._topics = topics
        self._largest: list[tuple[int, str]] = []
        self._persons: dict[str, _Person] = {}
        self._cut = False
        self._orders: set[str] = set()
        self._buyers: set[str] = set()
        self._addresses: set[str] = set()
        self._accounts: set[str] = set()

    @property
    def addresses(self) -> set[str]:
        """The persons."""
        return set(self._persons)

    @property
    def factor(self) -> float:
        """For how many persons each of the sample stands; 1: it is all of them."""
        if not self._cut:
            return 1.0
        # Of evenly spread digests: the k-th smallest of n stands about at k/n.
        return (len(self._persons) - 1) / (-self._largest[0][0] / _DIGESTS) / len(self._persons)

    def find_person(self, change: Change) -> None:
        """First pass, over rows that name addresses: whom there is."""
        for address in _named(change.row):
            person = self._person(address)
            if person is not None:
                (person.orders if isinstance(change.row, Detail) else person.buyers).add(change.key)

    def choose(self) -> None:
        """All persons were seen: these are the sample."""
        self._orders = {order for person in self._persons.values() for order in person.orders}
        self._buyers = {buyer for person in self._persons.values() for buyer in person.buyers}

    def find_order(self, change: Change) -> None:
        """Second pass, over headers: the orders of the persons' accounts, and the accounts of their orders."""
        if isinstance(change.row, Header) and change.row.customer is not None:
            account = customer_key(change.row.customer)
            if account in self._buyers:
                self._orders.add(change.key)
            elif change.key in self._orders:
                # Not all of its orders: of the account itself nothing is compared.
                self._accounts.add(account)

    def find_stranger(self, change: Change) -> None:
        """Third pass, over rows of orders that name addresses: an order asks whether anybody has the address on it."""
        if change.key in self._orders:
            self._addresses.update(_named(change.row))

    def wants(self, topic: str, change: Change) -> bool:
        """Whether the joins need a change that ingest emits to ``topic``."""
        if change.key == EVERYWHERE or topic == self._topics.products:
            return True
        if topic == self._topics.orders:
            return change.key in self._orders
        known = change.key in self._buyers or change.key in self._accounts
        return known or any(address in self._persons or address in self._addresses for address in _named(change.row))

    def wants_order(self, order: str) -> bool:
        """Whether an order belongs to the sample."""
        return order in self._orders

    def _person(self, address: str) -> _Person | None:
        found = self._persons.get(address)
        if found is not None:
            return found
        digest = int.from_bytes(blake2b(address.encode(), digest_size=8, key=self._key[:64]).digest())
        if len(self._persons) < self._most:
            heappush(self._largest, (-digest, address))
        elif digest < -self._largest[0][0]:
            # A person who is put out never comes back: the smallest digests only become smaller.
            self._cut = True
            del self._persons[heapreplace(self._largest, (-digest, address))[1]]
        else:
            self._cut = True
            return None
        person = self._persons[address] = _Person()
        return person


def _named(row: CapturedRow | object | None) -> Iterable[str]:
    match row:
        case Contact():
            return row.named
        case Customer():
            return row.emails
        case Detail(email=str(email)):
            return (email,)
    return ()
