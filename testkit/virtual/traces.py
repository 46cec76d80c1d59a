"""The five traces: a steady day, a flash sale, a month-end batch, a backfill beside live traffic, an hour of outage.

Each is made by one seeded shop, so its name, its scale and its seed are all that is recorded of it; results carry the
checksum of what comes out.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from streams.mapping import Mapping
from streams.messages.changes import Change
from testkit.virtual.trace import Event, Trace
from testkit.virtual.traffic import Order, TrafficShop

_SECOND, _MINUTE, _HOUR = 1000, 60_000, 3_600_000
_BUSY = (1, 1, 1, 1, 1, 2, 4, 8, 12, 16, 18, 18, 20, 18, 17, 16, 16, 18, 20, 22, 22, 16, 8, 3)
"""How orders spread over the hours of a day."""


BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the traces are: orders of the day, and contacts of the backfill."""

    orders: int = 1500
    backfill: int = 200_000


@dataclass(frozen=True, slots=True)
class Plot:
    """What happens in one trace. ``opening`` and ``script`` get the shop and the scale; times are in hours."""

    name: str
    about: str
    open_orders: float
    script: Callable[[TrafficShop, Scale], None]
    relief: float
    outage: tuple[float, float] | None = None

    def trace(self, mapping: Mapping, seed: int, scale: Scale) -> Trace:
        """The trace of one seed."""

        def opened() -> tuple[TrafficShop, list[Change]]:
            shop = TrafficShop(random.Random(f"{self.name} {seed}"), mapping)
            return shop, list(shop.found(2 * scale.orders, int(self.open_orders * scale.orders)))

        def events() -> Iterator[Event]:
            shop, _ = opened()
            self.script(shop, scale)
            return shop.run()

        outage = None if self.outage is None else (self.outage[0] * 3600, self.outage[1] * 3600)
        about = self.about.format(orders=scale.orders, backfill=scale.backfill)
        return Trace(self.name, about, lambda: iter(opened()[1]), events, self.relief * 3600, outage)


def _ordinary(shop: TrafficShop, orders: int, begin: int, end: int, busy: tuple[int, ...] = (1,)) -> None:
    """Orders between ``begin`` and ``end``, each on its way: some held, despatched after hours, then completed."""
    rng, hour = shop.rng, (end - begin) / len(busy)

    def follow(order: Order) -> None:
        if rng.random() < 0.05:
            shop.plan(order.at + rng.randrange(20 * _SECOND, 5 * _MINUTE), shop.move(order, "held"))
            shop.plan(order.at + rng.randrange(10 * _MINUTE, 60 * _MINUTE), shop.move(order, "open"))
        leaves = order.at + rng.randrange(2 * _HOUR, 8 * _HOUR)
        if leaves < end:
            shop.plan(leaves, shop.despatch(order))
            shop.plan(leaves + rng.randrange(_HOUR // 2, 2 * _HOUR), shop.move(order, "completed"))

    for part in rng.choices(range(len(busy)), busy, k=orders):
        shop.plan(begin + int((part + rng.random()) * hour), shop.buy(new=0.4, then=follow))


def _steady(shop: TrafficShop, scale: Scale) -> None:
    rng, day = shop.rng, 24 * _HOUR
    _ordinary(shop, scale.orders, 0, day, _BUSY)
    for order in rng.sample(shop.orders, scale.orders // 25):
        shop.plan(rng.randrange(day), shop.refund(order))
    for customer in rng.sample(shop.customers, scale.orders // 50):
        shop.plan(rng.randrange(day), shop.opt_out(customer))
    for customer in rng.sample(shop.customers, scale.orders // 15):
        # Somebody types, saves, sees the mistake, and saves again.
        at = rng.randrange(day)
        for edit in range(rng.randint(1, 3)):
            shop.plan(at, shop.rename(customer, f"{customer.last_name}-{edit}"))
            at += rng.randrange(500, 40 * _SECOND)


def _flash(shop: TrafficShop, scale: Scale) -> None:
    rng, begin, end = shop.rng, 20 * _MINUTE, 60 * _MINUTE
    _ordinary(shop, scale.orders // 10, 0, 3 * _HOUR)

    def pay(order: Order) -> None:
        if rng.random() < 0.2:
            shop.plan(order.at + _SECOND, shop.move(order, "held"))
            shop.plan(order.at + rng.randrange(20 * _SECOND, 3 * _MINUTE), shop.move(order, "open"))

    for _ in range(3 * scale.orders):
        # Most come at the beginning.
        shop.plan(begin + int((end - begin) * rng.betavariate(1.2, 3)), shop.buy(new=0.5, then=pay))


def _month_end(shop: TrafficShop, scale: Scale) -> None:
    rng, begin, end = shop.rng, 20 * _MINUTE, 30 * _MINUTE
    _ordinary(shop, scale.orders // 10, 0, 2 * _HOUR)
    for order in list(shop.orders):
        shop.plan(rng.randrange(begin, end), shop.move(order, "completed"))
    for order in rng.sample(shop.orders, scale.orders // 5):
        shop.plan(rng.randrange(begin, end), shop.refund(order))


def _backfill(shop: TrafficShop, scale: Scale) -> None:
    rng, begin, end = shop.rng, 5 * _MINUTE, 35 * _MINUTE
    _ordinary(shop, scale.orders // 10, 0, end)
    for order in rng.sample(shop.orders, scale.orders):
        shop.plan(rng.randrange(begin, end), shop.despatch(order))
    newcomers = (shop.newcomer() for _ in range(scale.backfill))
    # A snapshot also brings what is there already, and 2,000 rows a second.
    shop.plan(begin, shop.load(chain(iter(list(shop.customers)), newcomers), every=10, count=20))


def _outage(shop: TrafficShop, scale: Scale) -> None:
    rng, end = shop.rng, 3 * _HOUR
    _ordinary(shop, scale.orders, 0, end)
    for order in rng.sample(shop.orders, scale.orders // 2):
        shop.plan(rng.randrange(end), shop.despatch(order))


PLOTS = (
    Plot("steady day", "{orders:,} orders over 24 h, despatched and completed; edits, refunds, opt-outs", 1, _steady, 24),
    Plot("flash sale", "3 × {orders:,} orders within 40 min, half of them of new buyers", 0.1, _flash, 1),
    Plot("month-end batch", "4 × {orders:,} orders completed within 10 min, some credited", 4, _month_end, 0.5),
    Plot(BACKFILL, "{backfill:,} contacts at 2,000/s beside live and urgent traffic", 1, _backfill, 35 / 60),
    Plot("outage", "{orders:,} orders over 3 h, the second hour without Dotdigital", 1, _outage, 2, (1, 2)),
)

"""All of them, in a fixed order."""
