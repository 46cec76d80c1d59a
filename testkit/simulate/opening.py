"""The shop's history: everything that is in the database before the capture starts."""

from datetime import timedelta

from streams.mapping import Status
from testkit.simulate.anomalies import Anomalies
from testkit.simulate.calendar import HISTORY_SPAN
from testkit.simulate.catalogue import Catalogue
from testkit.simulate.order_life import OrderLife
from testkit.simulate.shop import Shop

_STATUSES: tuple[Status, ...] = ("completed", "open", "part_despatched", "despatched", "cancelled", "held")
_STATUS_WEIGHTS = (70, 12, 6, 6, 3, 3)
_CREDIT_SHARE = 0.06
_QUOTE_SHARE = 0.05
_FEWEST_VARIANTS, _MOST_VARIANTS = 20, 2000


def open_shop(shop: Shop, catalogue: Catalogue, life: OrderLife, anomalies: Anomalies, customers: int, orders: int) -> None:
    """Fill the database without a single event: goods and accounts first, then orders over the years, credits among them."""
    rng, start = shop.rng, shop.calendar.history_start
    shop.now = start
    shop.add_statuses()
    catalogue.open(max(_FEWEST_VARIANTS, min(_MOST_VARIANTS, orders // 5)))
    for house in shop.house:
        shop.add_house(house)
    for _ in range(customers):
        shop.add_account(trade=rng.random() < 0.3)
    step = HISTORY_SPAN / (orders + 1)
    for number in range(orders):
        shop.now = start + step * (number + rng.random())
        found = shop.buyer()
        if found is None:
            continue
        customer, who = found
        quote = rng.random() < _QUOTE_SHARE
        status = "open" if quote else rng.choices(_STATUSES, _STATUS_WEIGHTS)[0]
        at = life.edge_time() if rng.random() < 0.02 else None
        shop.store(
            shop.draft(
                customer=customer,
                who=who,
                lines=shop.some_lines(),
                kind="quote" if quote else "order",
                status=status,
                at=at,
            )
        )
        if rng.random() < _CREDIT_SHARE:
            life.credit_partly()
    if shop.house:
        for who in shop.guests[::10]:
            shop.add_contact(rng.choice(shop.house), who, email=shop.email_field(who.email))
    shop.now = shop.calendar.live_start - timedelta(hours=1)
    anomalies.leave_behind(max(1, min(10, orders // 300)))
