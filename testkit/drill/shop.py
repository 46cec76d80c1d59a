"""A small shop without accidents: what is wrong in a drill was done by the drill."""

import asyncio
import time
from datetime import UTC, datetime
from random import Random

from aiokafka import AIOKafkaProducer

from streams.mapping import Mapping
from testkit.simulate import product_rows, row_builders
from testkit.simulate.database import Database
from testkit.simulate.envelopes import Change, sent
from testkit.simulate.tables import (
    CATEGORY,
    CONTACT,
    CUSTOMER,
    DESPATCH,
    DETAIL,
    HEADER,
    LINE,
    MEMBERSHIP,
    PRICE,
    PRODUCT,
    STATUS,
    STOCK,
    TOTAL,
    VARIANT,
)

CUSTOMERS = 40
_FIRST = 2
"""The first account; 1 is the house account."""
_OPEN, _UNKNOWN = 1, 2
_EVERY_SECONDS = 0.25


class Shop:
    """Accounts with one person and one order each; somebody's first name is corrected four times a second."""

    def __init__(self, mapping: Mapping, producer: AIOKafkaProducer) -> None:
        self.db = Database(mapping)
        self._producer = producer
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """The opening rows, as a snapshot reads them."""
        rng, at = Random(15), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        db = self.db
        db.insert(STATUS, row_builders.status(_OPEN, "Awaiting Despatch"))
        db.insert(PRODUCT, product_rows.product(1, code="KET", name="Kettle", at=at))
        db.insert(VARIANT, product_rows.variant(rng, 1, product=1, code="KET-RED", name="Kettle, red", sold=True, at=at))
        db.insert(PRICE, product_rows.price(1, variant=1, currency=1, amount=140_000, per="1.0000", base=True, at=at))
        db.insert(STOCK, product_rows.stock(1, variant=1, free=120_000, at=at))
        db.insert(CATEGORY, product_rows.category(1, parent=0, name="Kitchen"))
        db.insert(MEMBERSHIP, product_rows.membership(1, variant=1, category=1))
        for key in range(_FIRST, _FIRST + CUSTOMERS):
            self._insert(rng, key, at)
        await self._send(list(db.snapshot(_now_ms())))

    def _insert(self, rng: Random, key: int, at: str) -> None:
        db, email = self.db, address(key)
        db.insert(
            CUSTOMER,
            row_builders.customer(
                rng, key, name=f"Shop {key}", account=f"A{key}", trade=True, statement=email, invoice=None, at=at
            ),
        )
        db.insert(
            CONTACT,
            row_builders.contact(
                rng, key, customer=key, first="Ann", last="Lee", full="Ann Lee", email=email, opt_in=None, at=at
            ),
        )
        db.insert(HEADER, row_builders.header(key, number=f"SO{key}", at=at, customer=key, type_id=1, status=_OPEN, done=False))
        db.insert(
            DETAIL,
            row_builders.detail(rng, key, order=key, currency=1, name="Ann Lee", email=email, invoice_email=None, at=at),
        )
        db.insert(TOTAL, row_builders.total(key, order=key, quantity=1, net=140_000))
        item = row_builders.Line(variant=1, quantity=1, price=140_000)
        db.insert(LINE, row_builders.line(key, order=key, status=_OPEN, item=item, at=at))
        db.insert(DESPATCH, row_builders.despatch(key, order=key, at=at))

    async def trade(self) -> None:
        """Correct first names for ever."""
        corrected = 0
        while True:
            corrected += 1
            await self._update(CONTACT, _FIRST + corrected % CUSTOMERS, cc_first_name=f"Ann {corrected}")
            await asyncio.sleep(_EVERY_SECONDS)

    async def set_address(self, *, readable: bool) -> None:
        """Spoil the address of one person, or put it right."""
        await self._update(CONTACT, _FIRST, cc_email=address(_FIRST) if readable else "ann at example")

    async def set_status(self, *, known: bool) -> None:
        """Give one order a status with a text that nobody has mapped, or its old one again."""
        if not self.db.has(STATUS, _UNKNOWN):
            async with self._writing:
                self.db.begin(_now_ms())
                self.db.insert(STATUS, row_builders.status(_UNKNOWN, "Lost in the post"))
                await self._send(self.db.commit())
        await self._update(HEADER, _FIRST, oh_os_id=_OPEN if known else _UNKNOWN)

    async def set_lookup(self, *, filled: bool) -> None:
        """Delete the rows of the table of statuses, or insert them again."""
        async with self._writing:
            self.db.begin(_now_ms())
            if filled:
                self.db.insert(STATUS, row_builders.status(_OPEN, "Awaiting Despatch"))
            else:
                for key in list(self.db.keys(STATUS)):
                    self.db.delete(STATUS, key)
            await self._send(self.db.commit())

    async def _update(self, table: str, key: int, **values: str | int) -> None:
        async with self._writing:
            self.db.begin(_now_ms())
            self.db.update(table, key, **values)
            await self._send(self.db.commit())

    async def _send(self, changes: list[Change]) -> None:
        for change in changes:
            event = sent(change, time.time_ns())
            await self._producer.send(event.topic, event.value, event.key)
        await self._producer.flush()


def address(key: int) -> str:
    """The e-mail address of an account's person."""
    return f"ann.{key}@shop{key}.example"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
