"""Rows that cannot be understood as they stand: unknown codes, missing parts. Half of them are put right later."""

from functools import partial

from testkit.simulate import row_builders
from testkit.simulate.actions import Action
from testkit.simulate.shop import Order, Shop
from testkit.simulate.tables import DETAIL, HEADER, STATUS, TOTAL, Value

REPAIR_SHARE = 0.5
"""How many mishaps somebody puts right."""


class Anomalies:
    """Everything that makes an order wait, and the statuses whose meaning changes late."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._repair_share = REPAIR_SHARE

    def leave_behind(self, times: int) -> None:
        """Let everything go wrong ``times`` times for good, as in any shop that has been open for years."""
        self._repair_share = 0.0
        for _ in range(times):
            for action in self._of_orders():
                action.run()
        self._repair_share = REPAIR_SHARE

    def actions(self) -> list[Action]:
        return [
            *self._of_orders(),
            Action("status_text_renamed", 2, self.rename_status),
            Action("status_meaning_changed", 1, self.change_meaning),
            Action("status_row_late", 1, self.load_tardy_status),
        ]

    def _of_orders(self) -> list[Action]:
        codes = self._shop.codes
        return [
            Action("type_unknown", 4, partial(self.spoil_header, "oh_sot_id", [codes.unknown_type, None, 0])),
            Action("status_unknown", 4, partial(self.spoil_header, "oh_os_id", [codes.foreign])),
            Action("status_not_loaded", 4, partial(self.spoil_header, "oh_os_id", [codes.ghost, codes.tardy, None, 0])),
            Action("status_renamed_later", 6, partial(self.spoil_header, "oh_os_id", [codes.late])),
            Action("order_customer_none", 4, partial(self.spoil_header, "oh_cd_id", [None, 0])),
            Action("currency_unknown", 4, partial(self.spoil_detail, "ohd_c_id", [codes.unknown_currency])),
            Action("order_email_lost", 5, self.lose_email),
            Action("total_null", 4, self.null_total),
            Action("total_deleted", 3, self.delete_total),
        ]

    def _drawn(self) -> Order | None:
        shop = self._shop
        pool = shop.active if shop.rng.random() < 0.5 and len(shop.active) else shop.settled
        key = pool.draw(shop.rng)
        return None if key is None else shop.orders[key]

    def spoil_header(self, column: str, values: list[Value]) -> bool:
        order = self._drawn()
        return order is not None and self._spoil(HEADER, order.id, column, self._shop.rng.choice(values))

    def spoil_detail(self, column: str, values: list[Value]) -> bool:
        order = self._drawn()
        return order is not None and self._spoil(DETAIL, order.details[0], column, self._shop.rng.choice(values))

    def lose_email(self) -> bool:
        """A guest order without any address."""
        shop = self._shop
        key = shop.house_orders.draw(shop.rng)
        if key is None:
            return False
        detail = shop.orders[key].details[0]
        shop.db.update(DETAIL, detail, ohd_invoice_email=None)
        return self._spoil(DETAIL, detail, "ohd_delivery_email", shop.rng.choice((None, "", "n/a")))

    def null_total(self) -> bool:
        order, shop = self._drawn(), self._shop
        if order is None:
            return False
        total = order.totals[0]
        shop.db.update(TOTAL, total, **row_builders.total_money(None))
        if shop.rng.random() < self._repair_share:
            shop.later(shop.rng.randint(1, 60), partial(self._restore_total, total, order.net))
        return True

    def _restore_total(self, total: int, net: int) -> bool:
        if not self._shop.db.has(TOTAL, total):
            return False
        self._shop.db.update(TOTAL, total, **row_builders.total_money(net))
        return True

    def delete_total(self) -> bool:
        """The money of an order goes, and comes back under its old key."""
        order, shop = self._drawn(), self._shop
        if order is None or len(order.totals) > 1:
            return False
        key = order.totals[0]
        gone = shop.db.delete(TOTAL, key)
        shop.forget(order)

        def put_back() -> bool:
            shop.db.insert(TOTAL, gone)
            shop.enlist(order)
            return True

        if shop.rng.random() < self._repair_share:
            shop.later(shop.rng.randint(1, 60), put_back)
        return True

    def _spoil(self, table: str, key: int, column: str, value: Value) -> bool:
        """Overwrite one column; its old value comes back later, or never."""
        shop = self._shop
        old = shop.db.row(table, key)[column]
        shop.db.update(table, key, **{column: value})
        if shop.rng.random() < self._repair_share:
            shop.later(shop.rng.randint(1, 60), partial(self._restore, table, key, column, value, old))
        return True

    def _restore(self, table: str, key: int, column: str, spoilt: Value, old: Value) -> bool:
        db = self._shop.db
        if not db.has(table, key) or db.row(table, key)[column] != spoilt:
            return False
        db.update(table, key, **{column: old})
        return True

    def rename_status(self) -> bool:
        """The text of a status is corrected long after orders used it: the mapping knows it now, or no longer."""
        shop, codes = self._shop, self._shop.codes
        text = str(shop.db.row(STATUS, codes.late)["os_description"])
        known = f"  {codes.text('open').upper()} " if text == codes.texts[codes.late] else codes.texts[codes.late]
        shop.db.update(STATUS, codes.late, os_description=known)
        return True

    def change_meaning(self) -> bool:
        """A status that many orders have gets the text of another status."""
        shop, codes = self._shop, self._shop.codes
        text = str(shop.db.row(STATUS, codes.spare())["os_description"])
        usual = codes.texts[codes.spare()]
        shop.db.update(STATUS, codes.spare(), os_description=codes.text("completed") if text == usual else usual)
        return True

    def load_tardy_status(self) -> bool:
        """A status row that orders used before it existed; it may be deleted again."""
        shop, codes = self._shop, self._shop.codes
        if shop.db.has(STATUS, codes.tardy):
            shop.db.delete(STATUS, codes.tardy)
        else:
            shop.db.insert(STATUS, row_builders.status(codes.tardy, codes.tardy_text))
        return True
