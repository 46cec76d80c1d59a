"""Changes to orders after the fact: corrected, split, moved to another customer, saved twice, deleted."""

from collections.abc import Iterable
from functools import partial

from testkit.simulate import row_builders
from testkit.simulate.actions import Action
from testkit.simulate.order_life import OrderLife
from testkit.simulate.people import Person
from testkit.simulate.shop import Order, Shop
from testkit.simulate.tables import DESPATCH, DETAIL, HEADER, LINE, TOTAL, Row, Value


class OrderEdits:
    """What users and batch jobs do to orders that exist already."""

    def __init__(self, shop: Shop, life: OrderLife) -> None:
        self._shop = shop
        self._life = life

    def actions(self) -> list[Action]:
        return [
            Action("order_touched", 40, self.touch),
            Action("order_customer_changed", 8, self.change_customer),
            Action("order_moved_to_house", 4, self.move_to_house),
            Action("order_moved_off_house", 4, self.move_off_house),
            Action("order_email_edited", 8, self.edit_email),
            Action("order_total_changed", 12, self.change_total),
            Action("order_currency_changed", 3, self.change_currency),
            Action("order_number_changed", 3, self.change_number),
            Action("order_date_changed", 4, self.change_date),
            Action("order_split", 8, self.split),
            Action("order_saved_twice_in_commit", 8, self.save_twice, descending=True),
            Action("row_reinserted_in_commit", 5, self.reinsert_in_commit, descending=True),
            Action("order_second_total", 4, self.second_total),
            Action("order_second_detail", 4, self.second_detail),
            Action("order_first_part_deleted", 3, self.delete_first_part),
            Action("detail_key_changed", 4, self.rekey_detail),
            Action("line_deleted", 8, self.delete_line),
            Action("line_variant_changed", 5, self.substitute),
            Action("line_quantity_changed", 5, self.change_quantity),
            Action("order_deleted", 5, self.delete),
            Action("order_deleted_piecemeal", 4, partial(self.delete_header_first, leave=False)),
            Action("order_header_deleted_alone", 2, partial(self.delete_header_first, leave=True)),
            Action("credited_order_deleted", 4, self.delete_credited),
            Action("lines_inserted_anew", 4, self.insert_lines_anew),
            Action("credited_lines_inserted_anew", 4, self.insert_credited_lines_anew),
        ]

    def _drawn(self) -> Order | None:
        shop = self._shop
        pool = shop.active if shop.rng.random() < 0.5 and len(shop.active) else shop.settled
        key = pool.draw(shop.rng)
        return None if key is None else shop.orders[key]

    def touch(self) -> bool:
        """A save that changes nothing that anybody mapped."""
        order, shop = self._drawn(), self._shop
        if order is None:
            return False
        shop.db.update(DETAIL, order.details[0], ohd_last_amended_datetime=shop.clock())
        if shop.rng.random() < 0.3:
            shop.db.update(HEADER, order.id, oh_cust_order_ref=f"PO {shop.rng.randrange(10**6)}")
        return True

    def change_customer(self) -> bool:
        order, shop = self._drawn(), self._shop
        customer = shop.open_accounts.draw(shop.rng)
        if order is None or customer is None or order.customer in (customer, *shop.house):
            return False
        self._move(order, customer)
        return True

    def move_to_house(self) -> bool:
        """An order booked on an account by mistake: its buyer becomes its own e-mail."""
        order, shop = self._drawn(), self._shop
        if order is None or not shop.house or order.customer in shop.house:
            return False
        account = shop.accounts.get(order.customer)
        order.guest = shop.person() if account is None else account.person
        if order.kind == "order":
            shop.house_orders.add(order.id)
        self._move(order, shop.rng.choice(shop.house))
        return True

    def move_off_house(self) -> bool:
        """A guest order found to be a customer's."""
        order, shop = self._house_order(), self._shop
        customer = shop.open_accounts.draw(shop.rng)
        if order is None or customer is None:
            return False
        order.guest = None
        shop.house_orders.discard(order.id)
        self._move(order, customer)
        return True

    def _move(self, order: Order, customer: int) -> None:
        order.customer = customer
        self._shop.db.update(HEADER, order.id, oh_cd_id=customer)

    def _house_order(self) -> Order | None:
        key = self._shop.house_orders.draw(self._shop.rng)
        return None if key is None else self._shop.orders[key]

    def edit_email(self) -> bool:
        """A guest's address corrected, or the order handed to somebody else's address."""
        order, shop = self._house_order(), self._shop
        if order is None:
            return False
        other = shop.person() if shop.rng.random() < 0.5 else shop.guest()
        order.guest = other
        shop.db.update(DETAIL, order.details[0], ohd_delivery_email=shop.email_field(other.email))
        return True

    def change_total(self) -> bool:
        """The order becomes dearer or cheaper; the line that explains it changes in the same save."""
        order, shop = self._drawn(), self._shop
        if order is None or not order.lines:
            return False
        order.net = max(0, order.net + shop.rng.randrange(-50_000, 100_000))
        shop.db.update(LINE, order.lines[0], oli_line_net=row_builders.decimal(order.net))
        shop.db.update(TOTAL, order.totals[0], **row_builders.total_money(order.net))
        return True

    def change_currency(self) -> bool:
        order, shop = self._drawn(), self._shop
        if order is None:
            return False
        shop.db.update(DETAIL, order.details[0], ohd_c_id=shop.rng.choice([*shop.codes.currencies, None, 0]))
        return True

    def change_number(self) -> bool:
        """An order's number is corrected or lost. A credit note keeps its own, under which it is told once and for ever."""
        order, shop = self._drawn(), self._shop
        if order is None or order.kind != "order":
            return False
        # Two neighbours may get numbers that differ in a sign which no key may contain.
        sign, digit = "/" if order.id % 2 else " ", shop.rng.randrange(10)
        number = f" {order.id // 2}{sign}{digit % 3} " if shop.rng.random() < 0.8 else "  "
        shop.db.update(HEADER, order.id, oh_order_number=number)
        return True

    def change_date(self) -> bool:
        order, shop = self._drawn(), self._shop
        if order is None:
            return False
        at = self._life.edge_time() if shop.rng.random() < 0.5 else None
        shop.db.update(HEADER, order.id, oh_datetime=at or shop.clock())
        return True

    def split(self) -> bool:
        """Lines move to a new order of the same buyer; both totals follow, all in one save."""
        order, shop, db = self._drawn(), self._shop, self._shop.db
        if order is None or order.kind != "order" or len(order.lines) < 2:
            return False
        account = shop.accounts.get(order.customer)
        who = order.guest or (Person("No", "Body", "nobody@example.com") if account is None else account.person)
        taken = shop.rng.randint(1, len(order.lines) - 1)
        moved, order.lines = order.lines[:taken], order.lines[taken:]
        part = order.net * taken // (taken + len(order.lines))
        order.net -= part
        made = shop.store(
            shop.draft(customer=order.customer, who=who, lines=[], status=order.status, net=part, email=who.email)
        )
        made.lines = moved
        for line in moved:
            db.update(LINE, line, oli_oh_id=made.id)
        db.update(TOTAL, order.totals[0], **row_builders.total_money(order.net))
        return True

    def save_twice(self) -> bool:
        """One transaction that writes the same rows two times over."""
        order, shop, db = self._drawn(), self._shop, self._shop.db
        if order is None:
            return False
        db.update(HEADER, order.id, oh_os_id=shop.codes.status("held"))
        db.update(TOTAL, order.totals[0], **row_builders.total_money(0))
        db.update(HEADER, order.id, oh_os_id=shop.codes.status(order.status))
        db.update(TOTAL, order.totals[0], **row_builders.total_money(order.net))
        return True

    def reinsert_in_commit(self) -> bool:
        """Some saves delete the parts of an order and write them again under the same keys."""
        order, db = self._drawn(), self._shop.db
        if order is None:
            return False
        total = db.delete(TOTAL, order.totals[0])
        lines = [db.delete(LINE, line) for line in order.lines]
        db.insert(TOTAL, total | row_builders.total_money(order.net))
        for line in lines:
            db.insert(LINE, line)
        return True

    def second_total(self) -> bool:
        order, db = self._drawn(), self._shop.db
        if order is None or len(order.totals) > 1:
            return False
        order.totals.append(db.new_key(TOTAL))
        db.insert(TOTAL, row_builders.total(order.totals[-1], order=order.id, quantity=1, net=order.net + 10_000))
        self._shop.doubled.add(order.id)
        return True

    def second_detail(self) -> bool:
        order, shop, db = self._drawn(), self._shop, self._shop.db
        if order is None or len(order.details) > 1:
            return False
        other = shop.person()
        order.details.append(db.new_key(DETAIL))
        copy: Row = db.row(DETAIL, order.details[0]) | {"ohd_id": order.details[-1], "ohd_delivery_email": other.email}
        db.insert(DETAIL, copy)
        shop.doubled.add(order.id)
        return True

    def delete_first_part(self) -> bool:
        """The first of two totals or details goes; the second counts from now on."""
        shop, db = self._shop, self._shop.db
        key = shop.doubled.draw(shop.rng)
        if key is None:
            return False
        order = shop.orders[key]
        shop.doubled.discard(key)
        if len(order.totals) > 1:
            db.delete(TOTAL, order.totals.pop(0))
            order.net += 10_000
        else:
            db.delete(DETAIL, order.details.pop(0))
        return True

    def rekey_detail(self) -> bool:
        order, db = self._drawn(), self._shop.db
        if order is None or len(order.details) > 1:
            return False
        new = db.new_key(DETAIL)
        db.rekey(DETAIL, order.details[0], new)
        order.details[0] = new
        return True

    def substitute(self) -> bool:
        """A line gets another variant, or none."""
        return self._update_line(oli_vad_id=self._shop.variant())

    def change_quantity(self) -> bool:
        """Quantities and money that a record must round, or leave out."""
        rng = self._shop.rng
        quantity = rng.choice((None, "0.0000", "0.5000", "1.4999", "2.5000", "3.0000"))
        net = None if rng.random() < 0.2 else row_builders.decimal(self._shop.amount())
        return self._update_line(oli_qty_required=quantity, oli_line_net=net)

    def _update_line(self, **values: Value) -> bool:
        order = self._drawn()
        if order is None or not order.lines:
            return False
        self._shop.db.update(LINE, self._shop.rng.choice(order.lines), **values)
        return True

    def delete_line(self) -> bool:
        order, db = self._drawn(), self._shop.db
        if order is None or len(order.lines) < 2:
            return False
        db.delete(LINE, order.lines.pop())
        return True

    def delete(self) -> bool:
        order = self._drawn()
        if order is None:
            return False
        self._delete(order)
        return True

    def _delete(self, order: Order) -> None:
        """All rows in one transaction, in no helpful order."""
        doomed = [(HEADER, order.id), *_parts(order)]
        self._shop.rng.shuffle(doomed)
        for table, key in doomed:
            self._shop.db.delete(table, key)
        self._shop.forget(order)

    def delete_header_first(self, *, leave: bool) -> bool:
        """The header goes; the parts follow in a later transaction, or are left behind."""
        order, shop = self._drawn(), self._shop
        if order is None:
            return False
        shop.db.delete(HEADER, order.id)
        shop.forget(order)
        if not leave:
            shop.later(shop.rng.randint(1, 20), partial(self._delete_rows, _parts(order)))
        return True

    def _delete_rows(self, doomed: Iterable[tuple[str, int]]) -> bool:
        for table, key in doomed:
            self._shop.db.delete(table, key)
        return True

    def delete_credited(self) -> bool:
        """An order is deleted although a credit note still names its lines."""
        order = self._credited_order()
        if order is None:
            return False
        self._delete(order)
        return True

    def insert_lines_anew(self) -> bool:
        """Some clients save an edited order so: each line is deleted, and inserted again under another key."""
        return self._insert_lines_anew(self._drawn())

    def insert_credited_lines_anew(self) -> bool:
        """As :meth:`insert_lines_anew`, although a credit note still names the lines by their former keys."""
        return self._insert_lines_anew(self._credited_order())

    def _insert_lines_anew(self, order: Order | None) -> bool:
        if order is None or not order.lines:
            return False
        db = self._shop.db
        rows = [db.delete(LINE, line) for line in order.lines]
        order.lines = [db.new_key(LINE) for _ in rows]
        for key, row in zip(order.lines, rows, strict=True):
            db.insert(LINE, row | {"oli_id": key})
        return True

    def _credited_order(self) -> Order | None:
        """An order some of whose lines a credit note names."""
        shop = self._shop
        for _ in range(50):
            key = shop.credits.draw(shop.rng)
            original = None if key is None else shop.orders[key].original
            order = None if original is None else shop.orders.get(original)
            if order is not None and order.kind == "order":
                return order
        return None


def _parts(order: Order) -> list[tuple[str, int]]:
    parts = ((DETAIL, order.details), (TOTAL, order.totals), (LINE, order.lines), (DESPATCH, order.despatches))
    return [(table, key) for table, keys in parts for key in keys]
