"""What the shop sells: its products, variants, prices, stock and categories, and how new ones are written down."""

from testkit.simulate import product_rows
from testkit.simulate.pool import Pool
from testkit.simulate.row_builders import UNITS, decimal, units
from testkit.simulate.shop import Shop
from testkit.simulate.tables import CATEGORY, MEMBERSHIP, PRICE, PRODUCT, STOCK, VARIANT, Value

_GOODS = ["bolt", "bracket", "clamp", "drill", "gasket", "hinge", "hose", "lamp", "pump", "valve", "washer"]
_SORTS = ["Brass", "Chrome", "Copper", "Heavy-duty", "Nylon", "Oak", "Slim", "Steel"]
_SHELVES = ("Bathroom", "Café & Bar", "Electrical", "Fixings", "Garden", "Lighting", "New in", "Plumbing", "Sale", "Tools")


class Catalogue:
    """Keys of the rows of what is sold; variants are in the shop, which puts them on order lines.

    At a site that maps no products there is nothing here and every call changes nothing.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.mapped = shop.config.mapping.products is not None
        self.products = Pool()
        self.categories = Pool()
        self.prices = Pool()
        self.stocks = Pool()
        self.memberships = Pool()
        self._stock_of: dict[int, int] = {}

    def open(self, variants: int) -> None:
        """Fill the shelves: about three variants to a product."""
        if not self.mapped:
            return
        for _ in range(max(4, variants // 3)):
            self.add_product()
        for name in (*_SHELVES, "", "  "):
            self.add_category(name)
        for _ in range(variants):
            self.add_variant()

    def add_product(self) -> int:
        """A product, now and then without code or name."""
        shop, key = self._shop, self._shop.db.new_key(PRODUCT)
        code: Value = f"P{key:04d}" if shop.rng.random() < 0.9 else shop.rng.choice((None, " ", f" P/{key} "))
        name: Value = self.words() if shop.rng.random() < 0.9 else shop.rng.choice((None, ""))
        shop.db.insert(PRODUCT, product_rows.product(key, code=code, name=name, at=shop.clock()))
        self.products.add(key)
        return key

    def words(self) -> str:
        """What something might be called."""
        return f"{self._shop.rng.choice(_SORTS)} {self._shop.rng.choice(_GOODS)}"

    def add_category(self, name: str) -> int:
        key = self._shop.db.new_key(CATEGORY)
        self._shop.db.insert(CATEGORY, product_rows.category(key, parent=0, name=name))
        self.categories.add(key)
        return key

    def add_variant(self, key: int | None = None) -> int:
        """A variant with its prices, stock and categories; ``key``: one that order lines know already."""
        shop = self._shop
        key = shop.db.new_key(VARIANT) if key is None else key
        row = product_rows.variant(
            shop.rng, key, product=self.product(), code=self.sku(key), name=self.name(), sold=self.sold(), at=shop.clock()
        )
        shop.db.insert(VARIANT, row)
        shop.variants.add(key)
        for number in range(shop.rng.choices((1, 2, 3, 0), (60, 20, 10, 10))[0]):
            self.add_price(key, usual=number == 0)
        for _ in range(shop.rng.choices((1, 2, 0), (80, 14, 6))[0]):
            self.add_stock(key)
        for _ in range(shop.rng.choices((1, 2, 3, 0), (50, 20, 10, 20))[0]):
            self.add_membership(key)
        return key

    def product(self) -> Value:
        """The product of a variant: mostly one of ours."""
        chance = self._shop.rng.random()
        if chance < 0.06:
            self._shop.seen["variant_without_product"] += 1
            return self._shop.none()
        if chance < 0.09:
            self._shop.seen["variant_of_unknown_product"] += 1
            return 900_000 + self._shop.rng.randrange(1000)
        return self.products.draw(self._shop.rng)

    def sku(self, key: int) -> Value:
        """The code of a variant as users type it."""
        chance, seen = self._shop.rng.random(), self._shop.seen
        if chance < 0.06:
            seen["variant_without_sku"] += 1
            return self._shop.rng.choice((None, "", "  "))
        if chance < 0.16:
            seen["sku_with_blanks"] += 1
            return f"  SKU-{key:05d} "
        if chance < 0.22:
            seen["sku_with_signs"] += 1
            return f"Ø{key}/{self._shop.rng.randrange(90)} 50% & more?"
        return f"SKU-{key:05d}" if chance < 0.98 else f"sku {key} " + "x" * 40

    def name(self) -> Value:
        chance = self._shop.rng.random()
        if chance < 0.05:
            self._shop.seen["name_from_a_web_shop"] += 1
            return f"{self.words()} &amp; more &#8211; 50&nbsp;cm\r\n\x1b[1m"
        return self.words() if chance < 0.9 else self._shop.rng.choice((None, "", " "))

    def sold(self) -> Value:
        said: Value = self._shop.rng.choices((True, None, False), (80, 8, 12))[0]
        self._shop.seen[f"variant_sold_{said}".lower()] += 1
        return said

    def add_price(self, variant: int, *, usual: bool) -> None:
        """A price in the usual currency, or in any that the site has or that the mapping does not know."""
        shop, rng, key = self._shop, self._shop.rng, self._shop.db.new_key(PRICE)
        default = shop.config.mapping.order.default_currency
        currency = default if usual or rng.random() < 0.4 else rng.choice([*shop.codes.currencies, shop.codes.unknown_currency])
        row = product_rows.price(
            key,
            variant=variant,
            currency=currency,
            amount=self.price_amount(),
            per=self.price_per(),
            base=rng.choice((True, False, False, None)),
            at=shop.clock(),
        )
        shop.db.insert(PRICE, row)
        self.prices.add(key)

    def price_amount(self) -> int | None:
        chance = self._shop.rng.random()
        if chance < 0.06:
            self._shop.seen["price_null"] += 1
            return None
        if chance < 0.1:
            self._shop.seen["price_zero"] += 1
            return 0
        return self._shop.amount()

    def price_per(self) -> Value:
        """For how many units a price is."""
        chance = self._shop.rng.random()
        if chance < 0.7:
            return decimal(UNITS)
        if chance < 0.85:
            self._shop.seen["price_per_many"] += 1
            return decimal(self._shop.rng.choice((3, 10, 100, 1000)) * UNITS)
        return self._shop.rng.choice((None, decimal(0), decimal(-UNITS)))

    def add_stock(self, variant: int) -> None:
        shop, key = self._shop, self._shop.db.new_key(STOCK)
        shop.db.insert(STOCK, product_rows.stock(key, variant=variant, free=self.free(), at=shop.clock()))
        self.stocks.add(key)
        self._stock_of[variant] = key

    def free(self) -> int | None:
        """A free stock: below zero where more was promised than there is."""
        chance, rng = self._shop.rng.random(), self._shop.rng
        if chance < 0.05:
            self._shop.seen["stock_null"] += 1
            return None
        if chance < 0.13:
            self._shop.seen["stock_negative"] += 1
            return -rng.randrange(1, 50) * UNITS
        return rng.randrange(500) * UNITS + (rng.randrange(UNITS) if chance < 0.2 else 0)

    def add_membership(self, variant: int) -> None:
        """A variant gets a category, now and then one that it has already or that nobody knows."""
        shop, key = self._shop, self._shop.db.new_key(MEMBERSHIP)
        category = self.categories.draw(shop.rng) if shop.rng.random() < 0.97 else 700 + shop.rng.randrange(9)
        shop.db.insert(MEMBERSHIP, product_rows.membership(key, variant=variant, category=category or 0))
        self.memberships.add(key)

    def allocate(self, variant: Value, quantity: int) -> None:
        """An order takes from what is free; ``quantity`` in units, below zero to give back."""
        if (key := self._stock(variant)) is None:
            return
        row, amount = self._shop.db.row(STOCK, key), quantity * UNITS
        free, allocated = units(row["vasq_free_stock_quantity"]), units(row["vasq_allocated_stock_quantity"])
        self._shop.seen["stock_allocated"] += 1
        self._shop.db.update(
            STOCK,
            key,
            vasq_free_stock_quantity=decimal(free - amount),
            vasq_allocated_stock_quantity=decimal(allocated + amount),
            vasq_stock_levels_last_calculated=self._shop.clock(),
        )

    def send(self, variant: Value, quantity: int) -> None:
        """What was allocated leaves the house: what is free stays as it was."""
        if (key := self._stock(variant)) is None:
            return
        row, amount = self._shop.db.row(STOCK, key), quantity * UNITS
        overall, allocated = units(row["vasq_overall_stock_quantity"]), units(row["vasq_allocated_stock_quantity"])
        self._shop.seen["stock_sent"] += 1
        self._shop.db.update(
            STOCK,
            key,
            vasq_overall_stock_quantity=decimal(overall - amount),
            vasq_allocated_stock_quantity=decimal(allocated - amount),
        )

    def _stock(self, variant: Value) -> int | None:
        key = self._stock_of.get(variant) if isinstance(variant, int) else None
        return key if key is not None and key in self.stocks else None
