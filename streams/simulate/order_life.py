"""The ordinary life of orders: placed, held, despatched, completed, cancelled, credited; quotes that become orders."""

from collections.abc import Callable, Sequence
from functools import partial

from streams.mapping import Status
from streams.simulate import rows
from streams.simulate.actions import Action
from streams.simulate.rows import Line
from streams.simulate.shop import Draft, Order, Shop
from streams.simulate.tables import DESPATCH, DETAIL, HEADER, LINE, TOTAL, Value

_NEXT: dict[Status, Sequence[Status]] = {
    "open": ("part_despatched", "despatched", "despatched"),
    "held": ("open",),
    "part_despatched": ("despatched",),
    "despatched": ("completed",),
}


class OrderLife:
    """What happens to orders on a normal day."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def actions(self) -> list[Action]:
        return [
            Action("order_advanced", 330, self.advance),
            Action("order_on_hold", 12, self.hold),
            Action("order_cancelled", 12, self.cancel),
            Action("credit_full", 14, partial(self.credit, whole=True)),
            Action("credit_partial", 14, self.credit_partly),
            Action("credit_without_line_references", 5, partial(self.credit, whole=False, refer=False)),
            Action("credit_negative_zero", 3, self.credit_a_shade_too_much),
            Action("quote", 8, self.quote),
            Action("quote_to_order", 6, self.quote_to_order),
            Action("order_to_quote", 2, self.order_to_quote),
            Action("order_total_late", 6, self.place_total_late),
            Action("order_header_late", 6, self.place_header_late),
            Action("order_at_clock_change", 4, self.place_at_edge),
            Action("despatch_corrected", 4, self.correct_despatch),
            Action("despatch_deleted", 3, self.delete_despatch),
        ]

    def place(self) -> bool:
        """A new order, in one save."""
        draft = self._draft()
        if draft is None:
            return False
        self._shop.store(draft)
        return True

    def place_total_late(self) -> bool:
        """Header and lines now, money and addresses in a later save; now and then the money never comes."""
        return self._place_in_two(held_back={DETAIL, TOTAL})

    def place_header_late(self) -> bool:
        """The parts before the whole."""
        return self._place_in_two(held_back={HEADER})

    def place_at_edge(self) -> bool:
        """An order in an hour that comes twice, never, or just beside."""
        draft = self._draft(at=self.edge_time())
        if draft is None:
            return False
        self._shop.store(draft)
        return True

    def edge_time(self) -> str | None:
        """A wall clock reading at a change of the clock, or None where clocks never change."""
        shop = self._shop
        if not shop.calendar.edges:
            return None
        shop.seen["time_at_clock_change"] += 1
        return shop.rng.choice(shop.calendar.edges)

    def _draft(self, at: str | None = None) -> Draft | None:
        shop = self._shop
        found = shop.buyer()
        if found is None:
            return None
        return shop.draft(customer=found[0], who=found[1], lines=shop.some_lines(), at=at)

    def _place_in_two(self, held_back: set[str]) -> bool:
        shop, draft = self._shop, self._draft()
        if draft is None:
            return False
        for table, row in draft.rows:
            if table not in held_back:
                shop.db.insert(table, row)
        if shop.rng.random() < 0.2:
            shop.seen["order_never_complete"] += 1
            return True
        rest = Draft(draft.order, [(table, row) for table, row in draft.rows if table in held_back])

        def complete() -> bool:
            shop.store(rest)
            return True

        shop.later(shop.rng.randint(1, 40), complete)
        return True

    def advance(self) -> bool:
        """The next stage: a delivery for what is despatched, and the lines' quantities."""
        order = self._drawn()
        if order is None:
            return False
        shop, db = self._shop, self._shop.db
        order.status = shop.rng.choice(_NEXT[order.status])
        status = shop.codes.status(order.status)
        db.update(HEADER, order.id, oh_os_id=status, oh_order_complete=order.status == "completed")
        if order.status in ("part_despatched", "despatched") and order.kind == "order":
            order.despatches.append(db.new_key(DESPATCH))
            db.insert(DESPATCH, rows.despatch(order.despatches[-1], order=order.id, at=shop.clock()))
            for line in order.lines if order.status == "despatched" else order.lines[:1]:
                quantity = db.row(LINE, line)["oli_qty_required"]
                db.update(LINE, line, oli_os_id=status, oli_qty_sent=quantity, oli_qty_tbsent="0.0000")
        if order.status == "completed":
            self._settle(order)
        return True

    def _drawn(self) -> Order | None:
        order = self._shop.active.draw(self._shop.rng)
        return None if order is None else self._shop.orders[order]

    def _settle(self, order: Order) -> None:
        self._shop.active.discard(order.id)
        self._shop.settled.add(order.id)

    def hold(self) -> bool:
        order = self._drawn()
        if order is None or order.status != "open":
            return False
        order.status = "held"
        self._shop.db.update(HEADER, order.id, oh_os_id=self._shop.codes.status("held"))
        return True

    def cancel(self) -> bool:
        order = self._drawn()
        if order is None:
            return False
        order.status = "cancelled"
        status = self._shop.codes.status("cancelled")
        self._shop.db.update(HEADER, order.id, oh_os_id=status, oh_order_complete=True)
        for line in order.lines:
            self._shop.db.update(LINE, line, oli_os_id=status, oli_qty_tbsent="0.0000")
        self._settle(order)
        return True

    def credit(self, *, whole: bool, refer: bool = True) -> bool:
        """A credit note for a settled order, all of it or some; its lines name those they take back, or nothing."""
        shop = self._shop
        key = shop.settled.draw(shop.rng)
        order = None if key is None else shop.orders[key]
        if order is None or order.kind != "order" or not order.lines:
            return False
        lines = order.lines if whole else order.lines[: shop.rng.randint(1, len(order.lines))]
        self._credit(order, [self._taken_back(line, refer=refer, whole=whole) for line in lines])
        return True

    def credit_partly(self) -> bool:
        return self.credit(whole=False)

    def credit_a_shade_too_much(self) -> bool:
        """Somebody whose only order is credited with 0.0040 too much: a spend that rounds to zero from below."""
        shop = self._shop
        account = shop.add_account(trade=False, plain=True)
        order = shop.store(
            shop.draft(
                customer=account.id,
                who=account.person,
                lines=shop.some_lines(),
                status="completed",
                currency=shop.config.mapping.order.default_currency,
            )
        )
        lines = [self._taken_back(line, refer=True, whole=True) for line in order.lines]
        self._credit(order, lines, net=order.net + 40, status="completed")
        return True

    def _taken_back(self, line: int, *, refer: bool, whole: bool) -> Line:
        row = self._shop.db.row(LINE, line)
        quantity, price = int(str(row["oli_qty_required"]).partition(".")[0]), str(row["oli_item_price"])
        units = int(price.replace(".", ""))
        original: Value = line if refer else self._shop.none()
        return Line(int(row["oli_vad_id"] or 0), quantity if whole else 1, units, original)

    def _credit(self, order: Order, lines: list[Line], net: int | None = None, status: Status | None = None) -> None:
        shop = self._shop
        account = shop.accounts.get(order.customer)
        who = order.guest or (shop.person() if account is None else account.person)
        currency = shop.db.row(DETAIL, order.details[0])["ohd_c_id"]
        shop.store(
            shop.draft(
                customer=order.customer,
                who=who,
                lines=lines,
                kind="credit",
                status=status or shop.rng.choices(("completed", "open", "cancelled"), (80, 15, 5))[0],
                currency=currency if currency is not None else 0,
                net=net,
                original=order.id,
            )
        )

    def quote(self) -> bool:
        """A quote or a paused order: a document that marketing must not see as a purchase."""
        shop = self._shop
        found = shop.buyer()
        if found is None or not shop.codes.ignored_types:
            return False
        shop.store(shop.draft(customer=found[0], who=found[1], lines=shop.some_lines(), kind="quote"))
        return True

    def quote_to_order(self) -> bool:
        shop = self._shop
        key = shop.quotes.draw(shop.rng)
        if key is None:
            return False
        order = shop.orders[key]
        order.kind = "order"
        shop.quotes.discard(key)
        shop.enlist(order)
        shop.db.update(HEADER, key, oh_sot_id=shop.codes.order_types[0])
        return True

    def order_to_quote(self) -> bool:
        order = self._drawn()
        shop = self._shop
        if order is None or order.kind != "order" or not shop.codes.ignored_types:
            return False
        shop.forget(order)
        order.kind = "quote"
        shop.enlist(order)
        shop.db.update(HEADER, order.id, oh_sot_id=shop.codes.ignored_types[-1])
        return True

    def correct_despatch(self) -> bool:
        """A delivery gets another time, or loses its time."""
        shop = self._shop
        at: Value = shop.clock() if shop.rng.random() < 0.7 else None
        return self._with_despatch(lambda _, despatch: shop.db.update(DESPATCH, despatch, dh_datetime=at))

    def delete_despatch(self) -> bool:
        shop = self._shop

        def delete(order: Order, despatch: int) -> None:
            order.despatches.remove(despatch)
            shop.db.delete(DESPATCH, despatch)

        return self._with_despatch(delete)

    def _with_despatch(self, change: Callable[[Order, int], None]) -> bool:
        shop = self._shop
        key = shop.settled.draw(shop.rng)
        if key is None or not shop.orders[key].despatches:
            return False
        change(shop.orders[key], shop.rng.choice(shop.orders[key].despatches))
        return True
