"""The ordinary life of orders: placed, held, despatched, completed, cancelled, credited; quotes that become orders."""

from collections.abc import Callable, Sequence
from functools import partial

from streams.mapping import Status
from testkit.simulate import row_builders
from testkit.simulate.actions import Action
from testkit.simulate.catalogue import Catalogue
from testkit.simulate.row_builders import UNITS, Line, units
from testkit.simulate.shop import Draft, Order, Shop
from testkit.simulate.tables import DESPATCH, DETAIL, HEADER, LINE, TOTAL, VARIANT, Value

_NEXT: dict[Status, Sequence[Status]] = {
    "open": ("part_despatched", "despatched", "despatched"),
    "held": ("open",),
    "part_despatched": ("despatched",),
    "despatched": ("completed",),
}
_NEVER_ENTERED = 0.1


class OrderLife:
    """The life of orders on a normal day."""

    def __init__(self, shop: Shop, catalogue: Catalogue) -> None:
        self._shop = shop
        self._catalogue = catalogue

    def actions(self) -> list[Action]:
        return [
            Action("order_advanced", 330, self.advance),
            Action("order_on_hold", 12, self.hold),
            Action("order_cancelled", 12, self.cancel),
            Action("credit_full", 14, partial(self.credit, whole=True)),
            Action("credit_partial", 14, self.credit_partly),
            Action("credit_without_line_references", 5, partial(self.credit, whole=False, refer=False)),
            Action("credit_negative_zero", 3, self.credit_a_shade_too_much),
            Action("credit_after_despatch", 10, self.credit_despatched),
            Action("credit_of_two_orders", 6, self.credit_two_orders),
            Action("credit_with_carriage", 6, self.credit_with_carriage),
            Action("quote", 8, self.quote),
            Action("quote_to_order", 6, self.quote_to_order),
            Action("order_to_quote", 2, self.order_to_quote),
            Action("order_total_late", 6, self.place_total_late),
            Action("order_header_late", 6, self.place_header_late),
            Action("order_at_clock_change", 4, self.place_at_edge),
            *self._of_awaited(),
            Action("despatch_corrected", 4, self.correct_despatch),
            Action("despatch_deleted", 3, self.delete_despatch),
        ]

    def _of_awaited(self) -> list[Action]:
        return [Action("order_of_late_variant", 6, self.place_for_late_variant)] if self._catalogue.mapped else []

    def place(self) -> bool:
        """A new order, in one save; its goods are set aside in the same one."""
        draft = self._draft()
        if draft is None:
            return False
        self._shop.store(draft)
        for variant, quantity in self._goods(draft.order.lines):
            self._catalogue.allocate(variant, quantity)
        return True

    def place_for_late_variant(self) -> bool:
        """An order for something that is entered as a variant only later, or never."""
        shop, found = self._shop, self._shop.buyer()
        if found is None:
            return False
        variant = shop.db.new_key(VARIANT)
        lines = [Line(variant, 1, shop.amount(), shop.none()), *shop.some_lines()]
        shop.store(shop.draft(customer=found[0], who=found[1], lines=lines))
        if shop.rng.random() < _NEVER_ENTERED:
            return True
        shop.awaited.add(variant)

        def enter() -> bool:
            shop.awaited.discard(variant)
            self._catalogue.add_variant(variant)
            shop.seen["variant_late"] += 1
            return True

        shop.later(shop.rng.randint(5, 60), enter)
        return True

    def _goods(self, lines: Sequence[int]) -> list[tuple[Value, int]]:
        """Variant and quantity of order lines."""
        found = [self._shop.db.row(LINE, line) for line in lines]
        return [(row["oli_vad_id"], units(row["oli_qty_required"]) // UNITS) for row in found]

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
        if shop.rng.random() < 0.3:
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
            db.insert(DESPATCH, row_builders.despatch(order.despatches[-1], order=order.id, at=shop.clock()))
            sent = order.lines if order.status == "despatched" else order.lines[:1]
            for variant, number in self._goods(sent):
                self._catalogue.send(variant, number)
            for line in sent:
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
        for variant, quantity in self._goods(order.lines):
            self._catalogue.allocate(variant, -quantity)
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

    def credit_order(self, order: int) -> bool:
        """All of one order, unless it is gone by now."""
        found = self._shop.orders.get(order)
        if found is None or found.kind != "order" or not found.lines:
            return False
        self._credit(found, [self._taken_back(line, refer=True, whole=True) for line in found.lines])
        return True

    def credit_despatched(self) -> bool:
        """What has left the house is refunded while the order goes on."""
        order = self._drawn()
        return order is not None and order.status in ("part_despatched", "despatched") and self.credit_order(order.id)

    def credit_two_orders(self) -> bool:
        """One credit note for lines of two orders, some of them with carriage on top; a customer's own where it has two."""
        shop = self._shop
        first, others = shop.settled.draw(shop.rng), [shop.settled.draw(shop.rng) for _ in range(20)]
        found = [shop.orders[key] for key in (first, *others) if key is not None]
        found = [order for order in found if order.kind == "order" and order.lines]
        if not found:
            return False
        ranked = sorted((order for order in found if order.id != found[0].id), key=lambda o: o.customer != found[0].customer)
        if not ranked:
            return False
        lines = [self._taken_back(line, refer=True, whole=True) for order in (found[0], ranked[0]) for line in order.lines]
        carriage = shop.rng.choice((0, shop.amount()))
        self._credit(found[0], lines, net=sum(line.net for line in lines) + carriage)
        return True

    def credit_with_carriage(self) -> bool:
        """More than its lines: carriage or goodwill; or less, where a fee was kept."""
        shop = self._shop
        key = shop.settled.draw(shop.rng)
        order = None if key is None else shop.orders[key]
        if order is None or order.kind != "order" or not order.lines:
            return False
        lines = [self._taken_back(order.lines[0], refer=True, whole=True)]
        beyond = shop.amount() if shop.rng.random() < 0.7 else -lines[0].net // 3
        self._credit(order, lines, net=lines[0].net + beyond)
        return True

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
        quantity = units(row["oli_qty_required"]) // UNITS
        original: Value = line if refer else self._shop.none()
        return Line(row["oli_vad_id"], quantity if whole else 1, units(row["oli_item_price"]), original)

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
