"""Returns: a customer sends something back, before anybody has credited it."""

from functools import partial

from testkit.simulate import product_rows
from testkit.simulate.actions import Action
from testkit.simulate.order_life import OrderLife
from testkit.simulate.pool import Pool
from testkit.simulate.shop import Shop
from testkit.simulate.tables import RETURN, Value


class Returns:
    """Changes to return rows."""

    def __init__(self, shop: Shop, life: OrderLife) -> None:
        self._shop = shop
        self._life = life
        self._open = Pool()

    def actions(self) -> list[Action]:
        """Nothing at a site that maps no returns."""
        if self._shop.config.mapping.returns is None:
            return []
        return [
            Action("return_opened", 12, self.open),
            Action("return_opened_then_credited", 10, self.open_then_credit),
            Action("return_number_changed", 3, self.renumber),
            Action("return_date_changed", 3, self.redate),
            Action("return_moved", 3, self.move),
            Action("return_deleted", 3, self.delete),
        ]

    def leave_open(self, times: int) -> None:
        """Returns of the past that nobody has credited yet."""
        if self._shop.config.mapping.returns is not None:
            for _ in range(times):
                self.open()

    def open(self) -> bool:
        """A return for an order that was settled; now and then without number or time."""
        return self._open_for(self._shop.settled.draw(self._shop.rng))

    def _open_for(self, order: int | None) -> bool:
        shop = self._shop
        if order is None or shop.orders[order].kind != "order":
            return False
        key, customer = shop.db.new_key(RETURN), shop.orders[order].customer
        at: Value = shop.clock() if shop.rng.random() < 0.85 else None
        row = product_rows.customer_return(key, customer=customer, order=order, number=self._number(key), at=at)
        shop.db.insert(RETURN, row)
        self._open.add(key)
        return True

    def _number(self, key: int) -> Value:
        return f" RMA-{key:05d}" if self._shop.rng.random() < 0.9 else self._shop.rng.choice((None, ""))

    def open_then_credit(self) -> bool:
        order, shop = self._shop.settled.draw(self._shop.rng), self._shop
        if not self._open_for(order) or order is None:
            return False
        shop.later(shop.rng.randint(2, 40), partial(self._life.credit_order, order))
        return True

    def renumber(self) -> bool:
        return self._update(crh_return_number=self._number(self._shop.rng.randrange(10**4)))

    def redate(self) -> bool:
        return self._update(crh_datetime=self._shop.rng.choice((None, self._shop.clock())))

    def move(self) -> bool:
        """A return was booked on the wrong order, or on none."""
        order: Value = self._shop.settled.draw(self._shop.rng) if self._shop.rng.random() < 0.8 else self._shop.none()
        return self._update(crh_oh_id=order)

    def _update(self, **values: Value) -> bool:
        key = self._open.draw(self._shop.rng)
        if key is None:
            return False
        self._shop.db.update(RETURN, key, **values)
        return True

    def delete(self) -> bool:
        key = self._open.draw(self._shop.rng)
        if key is None:
            return False
        self._open.discard(key)
        self._shop.db.delete(RETURN, key)
        return True
