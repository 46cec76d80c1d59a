"""The shop's history: everything that is in the database before the capture starts."""

from datetime import timedelta

from streams.mapping import Status
from streams.simulate.calendar import HISTORY_START, LIVE_START
from streams.simulate.mishaps import Mishaps
from streams.simulate.order_life import OrderLife
from streams.simulate.shop import Shop

_STATUSES: tuple[Status, ...] = ("completed", "open", "part_despatched", "despatched", "cancelled", "held")
_STATUS_WEIGHTS = (70, 12, 6, 6, 3, 3)
_CREDIT_SHARE = 0.06
_QUOTE_SHARE = 0.05


def open_shop(shop: Shop, life: OrderLife, mishaps: Mishaps, customers: int, orders: int) -> None:
    """Fill the database without a single event: accounts first, then orders over the years, credits among them."""
    rng, span = shop.rng, LIVE_START - HISTORY_START
    shop.now = HISTORY_START
    shop.add_statuses()
    for house in shop.house:
        shop.add_house(house)
    for _ in range(customers):
        shop.add_account(trade=rng.random() < 0.3)
    step = span / (orders + 1)
    for number in range(orders):
        shop.now = HISTORY_START + step * (number + rng.random())
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
    shop.now = LIVE_START - timedelta(hours=1)
    mishaps.leave_behind(max(1, min(10, orders // 300)))
