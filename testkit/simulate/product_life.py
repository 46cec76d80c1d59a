"""The life of products: prices and stock move, things are renamed, withdrawn, deleted and put elsewhere."""

from collections.abc import Callable
from functools import partial

from testkit.simulate import product_rows
from testkit.simulate.actions import Action
from testkit.simulate.catalogue import Catalogue
from testkit.simulate.row_builders import UNITS, decimal, units
from testkit.simulate.shop import Shop
from testkit.simulate.tables import CATEGORY, MEMBERSHIP, PRICE, PRODUCT, STOCK, VARIANT, Value

_COUNTED_AT_ONCE = 15
_RETURN_SHARE = 0.6
_CHILDREN = (
    ("price", PRICE, "vafp_vad_id"),
    ("stock_row", STOCK, "vasq_vad_id"),
    ("membership", MEMBERSHIP, "vac_vad_id"),
)


class ProductLife:
    """Changes to products, variants, prices, stock and categories."""

    def __init__(self, shop: Shop, catalogue: Catalogue) -> None:
        self._shop = shop
        self._catalogue = catalogue
        self._pools = {
            PRODUCT: catalogue.products,
            VARIANT: shop.variants,
            PRICE: catalogue.prices,
            STOCK: catalogue.stocks,
            CATEGORY: catalogue.categories,
            MEMBERSHIP: catalogue.memberships,
        }

    def actions(self) -> list[Action]:
        """Nothing at a site without products."""
        if not self._catalogue.mapped:
            return []
        return [
            Action("goods_received", 30, self.receive),
            Action("stock_recalculated", 10, self.recalculate),
            Action("stock_corrected", 10, self.correct_stock),
            Action("stock_row_added", 3, self._of_variant(self._catalogue.add_stock)),
            Action("price_changed", 14, self.change_price),
            Action("price_per_changed", 3, self.change_per),
            Action("price_base_changed", 4, self.change_base),
            Action("price_added", 5, self._of_variant(partial(self._catalogue.add_price, usual=False))),
            Action("product_added", 2, self.add_product),
            Action("variant_added", 6, self.add_variant),
            Action("product_renamed", 6, self.rename_product),
            Action("variant_renamed", 8, self.rename_variant),
            Action("category_renamed", 4, self.rename_category),
            Action("variant_touched", 6, self.touch),
            Action("sku_corrected", 6, self.correct_sku),
            Action("variant_withdrawn", 5, self.withdraw),
            Action("variant_product_changed", 4, self.change_product),
            Action("membership_added", 5, self._of_variant(self._catalogue.add_membership)),
            Action("membership_category_changed", 3, self.change_category),
            Action("membership_key_changed", 2, self.rekey_membership),
            *(Action(f"{name}_moved", 3, partial(self.move, table, column)) for name, table, column in _CHILDREN),
            *(Action(f"{name}_deleted", 3, partial(self.delete, table)) for name, table, _ in _CHILDREN),
            Action("variant_deleted", 4, partial(self.delete, VARIANT)),
            Action("product_deleted", 2, partial(self.delete, PRODUCT)),
            Action("category_deleted", 1, partial(self.delete, CATEGORY)),
        ]

    def _of_variant(self, run: Callable[[int], object]) -> Callable[[], bool]:
        def act() -> bool:
            variant = self._shop.variants.draw(self._shop.rng)
            if variant is None:
                return False
            run(variant)
            return True

        return act

    def _update(self, table: str, **values: Value) -> bool:
        key = self._pools[table].draw(self._shop.rng)
        if key is None:
            return False
        self._shop.db.update(table, key, **values)
        return True

    def receive(self) -> bool:
        """Goods come in."""
        key = self._catalogue.stocks.draw(self._shop.rng)
        if key is None:
            return False
        free = units(self._shop.db.row(STOCK, key)["vasq_free_stock_quantity"])
        more = self._shop.rng.randrange(1, 100) * UNITS
        self._shop.db.update(STOCK, key, vasq_free_stock_quantity=decimal(free + more))
        return True

    def recalculate(self) -> bool:
        """The nightly job writes rows again with another stamp and the same stock."""
        drawn = [self._catalogue.stocks.draw(self._shop.rng) for _ in range(_COUNTED_AT_ONCE)]
        for key in sorted({key for key in drawn if key is not None}):
            self._shop.db.update(STOCK, key, vasq_stock_levels_last_calculated=self._shop.clock())
        return any(key is not None for key in drawn)

    def correct_stock(self) -> bool:
        free = self._catalogue.free()
        return self._update(STOCK, vasq_free_stock_quantity=None if free is None else decimal(free))

    def change_price(self) -> bool:
        return self._update(PRICE, **product_rows.price_money(self._catalogue.price_amount()))

    def change_per(self) -> bool:
        return self._update(PRICE, vafp_price_per=self._catalogue.price_per())

    def change_base(self) -> bool:
        return self._update(PRICE, vafp_base_price=self._shop.rng.choice((True, False, None)))

    def add_product(self) -> bool:
        self._catalogue.add_product()
        return True

    def add_variant(self) -> bool:
        self._catalogue.add_variant()
        return True

    def rename_product(self) -> bool:
        name: Value = self._catalogue.words() if self._shop.rng.random() < 0.8 else None
        return self._update(PRODUCT, pd_description=name, pd_last_amended_datetime=self._shop.clock())

    def rename_variant(self) -> bool:
        return self._update(VARIANT, vad_description=self._catalogue.name(), vad_last_amended_datetime=self._shop.clock())

    def rename_category(self) -> bool:
        rng = self._shop.rng
        return self._update(CATEGORY, ctn_description=rng.choice((f"Range {rng.randrange(99)}", " Offers ", "")))

    def touch(self) -> bool:
        """A save of columns that nobody mapped."""
        return self._update(VARIANT, vad_weight=decimal(self._shop.rng.randrange(1, 200_000)))

    def correct_sku(self) -> bool:
        key = self._shop.variants.draw(self._shop.rng)
        if key is None:
            return False
        code = self._catalogue.sku(key) if self._shop.rng.random() < 0.5 else f"SKU-{key:05d}-{self._shop.rng.randrange(9)}"
        self._shop.db.update(VARIANT, key, vad_variant_code=code)
        return True

    def withdraw(self) -> bool:
        """A variant is taken off sale, or put back."""
        key, db = self._shop.variants.draw(self._shop.rng), self._shop.db
        if key is None:
            return False
        off = db.row(VARIANT, key)["vad_sale_variant"] is False
        db.update(VARIANT, key, vad_sale_variant=off)
        return True

    def change_product(self) -> bool:
        return self._update(VARIANT, vad_pd_id=self._catalogue.product())

    def change_category(self) -> bool:
        return self._update(MEMBERSHIP, vac_ctn_id=self._catalogue.categories.draw(self._shop.rng))

    def rekey_membership(self) -> bool:
        pool, db = self._catalogue.memberships, self._shop.db
        key = pool.draw(self._shop.rng)
        if key is None:
            return False
        new = db.new_key(MEMBERSHIP)
        db.rekey(MEMBERSHIP, key, new)
        pool.discard(key)
        pool.add(new)
        return True

    def move(self, table: str, column: str) -> bool:
        """A row is found to be another variant's."""
        variant = self._shop.variants.draw(self._shop.rng)
        return variant is not None and self._update(table, **{column: variant})

    def delete(self, table: str) -> bool:
        """A row goes, alone; mostly it comes back under its old key."""
        shop, pool = self._shop, self._pools[table]
        key = pool.draw(shop.rng)
        if key is None or len(pool) < 3:
            return False
        row = shop.db.delete(table, key)
        pool.discard(key)

        def come_back() -> bool:
            shop.db.insert(table, row)
            pool.add(key)
            shop.seen["goods_row_reinserted"] += 1
            return True

        if shop.rng.random() < _RETURN_SHARE:
            shop.later(shop.rng.randint(1, 60), come_back)
        return True
