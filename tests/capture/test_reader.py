"""Rows as the mapping reads them: each table's typed row, and what it is read from."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest

from streams.capture import rows
from streams.capture.reader import TableReader, readers
from streams.core.errors import RecordError
from streams.mapping import Mapping, load_mapping
from streams.mapping.model import ConsentRule, Erasure
from streams.mapping.tables import Return
from tests.capture.records import ROWS, Row

MAPPING = load_mapping()
READERS = readers(MAPPING)
ORDERED = int(datetime(2026, 3, 5, 8, 41, 12, tzinfo=UTC).timestamp())


def read(table: str, **columns: Any) -> object:
    """The typed row of a table's sample row with other values in some columns."""
    return READERS[table].read(ROWS[table] | columns)


def contacts(consent: ConsentRule, erasure: Erasure | None = None) -> TableReader:
    """The reader of the contact table under other rules of consent and erasure."""
    return readers(MAPPING.model_copy(update={"consent": consent, "erasure": erasure}))[MAPPING.contact.table]


def of_products(part: str, **columns: Any) -> TableReader:
    """The reader of one of the products' tables whose mapping differs."""
    assert MAPPING.products is not None
    section = getattr(MAPPING.products, part).model_copy(update=columns)
    products = MAPPING.products.model_copy(update={part: section})
    return readers(MAPPING.model_copy(update={"products": products}))[section.table]


class TestExclusions:
    def test_an_excluded_address_stands_apart_and_keeps_its_person(self) -> None:
        row = read("customer_contact", cc_email="ann@bright.co.uk; x1@marketplace.amazon.co.uk")
        assert row == rows.Contact(("ann@bright.co.uk",), "Ann", "Lee", None, excluded=("x1@marketplace.amazon.co.uk",))

    def test_of_an_account_and_an_order_it_is_left_out(self) -> None:
        assert read("customer_detail", cd_statement_email="noreply@bright.co.uk") == rows.Customer("BRI001", True, ())
        detail = read("order_header_detail", ohd_delivery_email="noreply@bright.co.uk", ohd_invoice_email="ann@bright.co.uk")
        assert detail == rows.Detail(None, 1, excluded=True)

    def test_accounts_by_id_and_by_type_and_orders_by_channel(self) -> None:
        exclude = MAPPING.exclude.model_copy(
            update={"accounts": frozenset({7}), "customer_types": frozenset({"staff"}), "channels": frozenset({"4"})}
        )
        header = MAPPING.order.header.model_copy(update={"channel": "oh_channel"})
        sections = {
            "exclude": exclude,
            "customer": MAPPING.customer.model_copy(update={"type": "cd_type"}),
            "order": MAPPING.order.model_copy(update={"header": header}),
        }
        found = readers(MAPPING.model_copy(update=sections))

        def excluded(table: str, **columns: Any) -> object:
            row = found[table].read(ROWS[table] | columns)
            assert isinstance(row, rows.Customer | rows.Header | rows.Contact)
            return row.excluded

        assert excluded("customer_detail", cd_id=7, cd_type=None) is True
        assert excluded("customer_detail", cd_id=8, cd_type=" Staff") is True
        assert excluded("customer_detail", cd_id=8, cd_type="trade") is False
        assert excluded("customer_contact", cc_customer_id=7) == ("ann@bright.co.uk",)
        assert excluded("order_header", oh_channel=4) is True
        assert excluded("order_header", oh_channel=None) is False


class TestTables:
    def test_every_mapped_table_has_a_reader(self) -> None:
        assert READERS.keys() == ROWS.keys()

    @pytest.mark.parametrize(
        ("table", "row"),
        [
            ("customer_detail", rows.Customer("BRI001", True, ("accounts@bright.co.uk",))),
            ("customer_contact", rows.Contact(("ann@bright.co.uk",), "Ann", "Lee", None)),
            ("order_header", rows.Header("SO10042", ORDERED, 7, 1, 2)),
            ("order_header_detail", rows.Detail("ann@bright.co.uk", 1)),
            ("order_header_total", rows.Total(Decimal("140.0000"))),
            ("order_line_item", rows.Line(None, 900, Decimal("2.0000"), Decimal("140.0000"))),
            ("delivery_header", rows.Despatch(ORDERED, "JD000000000053GB")),
            ("order_status", rows.StatusText("awaiting despatch")),
            ("product_detail", rows.Product("KET", "Kettle")),
            ("variant_detail", rows.Variant(90, "KET-RED", "Kettle, red", True)),
            ("variant_foreign_price", rows.Price(1, Decimal("140.0000"), Decimal("2.0000"), True)),
            ("variant_stock_quantity", rows.Stock(Decimal("12.0000"))),
            ("category_treeview_node", rows.Category("Kitchen")),
            ("variant_category", rows.Membership(93)),
        ],
    )
    def test_a_row_becomes_what_it_means(self, table: str, row: rows.Row) -> None:
        assert READERS[table].read(ROWS[table]) == row

    @pytest.mark.parametrize("table", ROWS)
    def test_columns_that_nobody_mapped_are_dropped(self, table: str) -> None:
        columns: Row = ROWS[table] | {"secret": "quagga", "oh_notes": "quagga", "cc_mobile": "quagga"}
        assert b"quagga" not in msgspec.msgpack.encode(READERS[table].read(columns))

    @pytest.mark.parametrize(
        ("table", "column"),
        [
            (table, column)
            for table, row in ROWS.items()
            for column in row
            if column in {name for names in READERS[table].fields.values() for name in names}
        ],
    )
    def test_a_column_that_is_mapped_but_not_there_is_named(self, table: str, column: str) -> None:
        without = {name: value for name, value in ROWS[table].items() if name != column}
        if column == "cc_name" or column.endswith("invoice_email"):
            # Read only when the columns before it say nothing.
            without |= {"cc_first_name": "", "cc_last_name": None}
            without |= {name: None for name in without if name.endswith("_email")}
        with pytest.raises(RecordError, match=rf"^column_missing: {column} "):
            READERS[table].read(without)


class TestCustomers:
    @pytest.mark.parametrize("empty", [None, "", " \u200b"])
    def test_the_first_column_that_is_not_empty_counts_whole(self, empty: str | None) -> None:
        row = read("customer_detail", cd_statement_email=empty, cd_invoice_email="zoe@bright.co.uk; ann@bright.co.uk")
        assert row == rows.Customer("BRI001", True, ("zoe@bright.co.uk", "ann@bright.co.uk"))

    def test_another_column_does_not_stand_in_for_one_that_cannot_be_read(self) -> None:
        row = read("customer_detail", cd_statement_email="jo smith@bright.co.uk", cd_invoice_email="ann@bright.co.uk")
        assert row == rows.Customer("BRI001", True, (), unreadable=True)

    def test_an_account_may_say_nothing_at_all(self) -> None:
        row = read("customer_detail", cd_ow_account="  ", cd_account_customer=None, cd_statement_email=None)
        assert row == rows.Customer(None, False, ())


class TestContacts:
    def test_a_person_whose_address_cannot_be_read_has_no_name(self) -> None:
        assert read("customer_contact", cc_email="jo@firm.co,uk") == rows.Contact((), None, None, None, unreadable=True)

    @pytest.mark.parametrize(
        ("first", "last", "full", "name"),
        [
            ("Ann", "Lee", "Zoe Ray", ("Ann", "Lee")),
            ("Ann", None, "Zoe Ray", ("Ann", None)),
            (" ", "Lee", "Zoe Ray", (None, "Lee")),
            (None, "", "Zoe  van der Ray ", ("Zoe", "van der Ray")),
            (None, None, "Zoe", ("Zoe", None)),
            (None, None, "Zoe\u00a0Ray", ("Zoe", "Ray")),
            ("", "", "  ", (None, None)),
            (None, None, None, (None, None)),
        ],
    )
    def test_the_full_name_is_split_only_when_both_parts_are_empty(
        self, first: str | None, last: str | None, full: str | None, name: tuple[str | None, str | None]
    ) -> None:
        row = read("customer_contact", cc_first_name=first, cc_last_name=last, cc_name=full)
        assert row == rows.Contact(("ann@bright.co.uk",), *name, None)

    def test_several_addresses_are_kept_in_order(self) -> None:
        row = read("customer_contact", cc_email="zoe@bright.co.uk, Ann@bright.co.uk, ZOE@bright.co.uk")
        assert isinstance(row, rows.Contact)
        assert row.emails == ("zoe@bright.co.uk", "ann@bright.co.uk")


class TestConsent:
    RULE = ConsentRule(
        mode="column", column="cc_opt", opted_in=frozenset({"1", "true", "yes"}), opted_out=frozenset({"0", "false", ""})
    )

    @pytest.mark.parametrize(
        ("value", "opted"),
        [
            (True, True),
            (1, True),
            ("1", True),
            (" YES ", True),
            (False, False),
            (0, False),
            ("False", False),
            ("", False),
            ("  ", False),
            (None, None),
            ("perhaps", None),
            (2, None),
            (1.0, None),
            ([], None),
        ],
    )
    def test_a_value_means_what_the_mapping_says(self, value: object, opted: bool | None) -> None:
        row = contacts(self.RULE).read(ROWS["customer_contact"] | {"cc_opt": value})
        assert isinstance(row, rows.Contact)
        assert row.opted is opted

    def test_no_value_is_no_answer_even_where_none_is_one(self) -> None:
        rule = ConsentRule(mode="column", column="cc_opt", opted_in=frozenset({"yes"}), opted_out=frozenset({"none"}))
        row = contacts(rule).read(ROWS["customer_contact"] | {"cc_opt": None})
        assert isinstance(row, rows.Contact)
        assert row.opted is None

    @pytest.mark.parametrize("mode", ["none", "external"])
    def test_a_site_that_does_not_say_has_nobody_in_or_out(self, mode: Literal["none", "external"]) -> None:
        row = contacts(ConsentRule(mode=mode, column="cc_opt")).read(ROWS["customer_contact"] | {"cc_opt": "1"})
        assert isinstance(row, rows.Contact)
        assert row.opted is None

    def test_a_rule_whose_column_is_not_captured_is_an_error(self) -> None:
        with pytest.raises(RecordError, match=r"^column_missing: cc_opt "):
            contacts(self.RULE).read(ROWS["customer_contact"])

    def test_an_unavailable_answer_keeps_the_one_before(self) -> None:
        assert contacts(self.RULE).fields["opted"] == ("cc_opt",)


class TestErasure:
    RULE = Erasure(column="cc_erased", erased=frozenset({"1", "true", "erased"}))

    @pytest.mark.parametrize(
        ("value", "erased"),
        [
            (True, True),
            (1, True),
            (" Erased ", True),
            (False, False),
            (0, False),
            ("", False),
            (None, False),
            ("none", False),
            ([], False),
        ],
    )
    def test_a_value_means_what_the_mapping_says(self, value: object, erased: bool) -> None:
        row = contacts(ConsentRule(), self.RULE).read(ROWS["customer_contact"] | {"cc_erased": value})
        assert row == rows.Contact(("ann@bright.co.uk",), "Ann", "Lee", None, erased)

    def test_without_a_rule_nobody_is_erased(self) -> None:
        row = contacts(ConsentRule()).read(ROWS["customer_contact"] | {"cc_erased": "1"})
        assert isinstance(row, rows.Contact)
        assert not row.erased

    def test_a_rule_whose_column_is_not_captured_is_an_error(self) -> None:
        with pytest.raises(RecordError, match=r"^column_missing: cc_erased "):
            contacts(ConsentRule(), self.RULE).read(ROWS["customer_contact"])

    def test_an_unavailable_answer_keeps_the_one_before(self) -> None:
        assert contacts(ConsentRule(), self.RULE).fields["erased"] == ("cc_erased",)


class TestOrders:
    @pytest.mark.parametrize("none", [None, 0, "0"])
    def test_a_reference_may_be_none(self, none: object) -> None:
        assert read("order_header", oh_cd_id=none) == rows.Header("SO10042", ORDERED, None, 1, 2)
        assert read("order_header_detail", ohd_c_id=none) == rows.Detail("ann@bright.co.uk", None)
        assert read("order_header", oh_sot_id=none, oh_os_id=none) == rows.Header("SO10042", ORDERED, 7, None, None)

    def test_an_order_without_a_time_is_refused(self) -> None:
        with pytest.raises(RecordError, match=r"^null_not_allowed: oh_datetime "):
            read("order_header", oh_datetime=None)

    def test_a_despatch_without_a_time_is_one_that_has_not_left(self) -> None:
        assert read("delivery_header", dh_datetime=None) == rows.Despatch(None, "JD000000000053GB")

    def test_the_first_address_of_the_first_column_that_is_not_empty_is_the_buyers(self) -> None:
        row = read("order_header_detail", ohd_delivery_email="", ohd_invoice_email="zoe@bright.co.uk ann@bright.co.uk")
        assert row == rows.Detail("zoe@bright.co.uk", 1)

    def test_an_order_may_have_an_address_that_nobody_can_read(self) -> None:
        row = read("order_header_detail", ohd_delivery_email="?", ohd_invoice_email="zoe@bright.co.uk")
        assert row == rows.Detail(None, 1, unreadable=True)

    def test_a_site_without_currencies_maps_none(self) -> None:
        detail = MAPPING.order.detail.model_copy(update={"currency": None})
        order = MAPPING.order.model_copy(update={"detail": detail})
        reader = readers(MAPPING.model_copy(update={"order": order}))["order_header_detail"]
        assert reader.read(ROWS["order_header_detail"]) == rows.Detail("ann@bright.co.uk", None)

    def test_money_may_be_null(self) -> None:
        assert read("order_header_total", oht_net=None) == rows.Total(None)

    def test_a_status_text_is_trimmed_and_folded(self) -> None:
        assert read("order_status", os_description="  Straße ") == rows.StatusText("strasse")
        assert read("order_status", os_description=None) == rows.StatusText("")


class TestProducts:
    @pytest.mark.parametrize(("value", "sold"), [(None, True), (True, True), ("1", True), (False, False), (0, False)])
    def test_only_a_flag_that_says_no_keeps_a_variant_back(self, value: object, sold: bool) -> None:
        row = read("variant_detail", vad_sale_variant=value)
        assert row == rows.Variant(90, "KET-RED", "Kettle, red", sold)

    def test_a_site_without_the_flag_sells_everything(self) -> None:
        reader = of_products("variant", sold=None)
        assert reader.read(ROWS["variant_detail"]) == rows.Variant(90, "KET-RED", "Kettle, red", True)

    def test_a_price_may_be_for_one_and_in_no_order_of_preference(self) -> None:
        reader = of_products("price", per=None, base=None)
        assert reader.read(ROWS["variant_foreign_price"]) == rows.Price(1, Decimal("140.0000"), None, False)

    def test_a_row_may_say_nothing_at_all(self) -> None:
        silent: dict[str, rows.Row] = {
            "product_detail": rows.Product(None, None),
            "variant_detail": rows.Variant(None, None, None, True),
            "variant_foreign_price": rows.Price(None, None, None, False),
            "variant_stock_quantity": rows.Stock(None),
            "category_treeview_node": rows.Category(None),
            "variant_category": rows.Membership(None),
        }
        assert {table: READERS[table].read(dict.fromkeys(ROWS[table])) for table in silent} == silent

    @pytest.mark.parametrize("none", [0, "0", None])
    def test_a_reference_may_be_none(self, none: object) -> None:
        assert read("variant_detail", vad_pd_id=none) == rows.Variant(None, "KET-RED", "Kettle, red", True)
        assert read("variant_category", vac_ctn_id=none) == rows.Membership(None)


class TestReturns:
    RETURN = Return(table="return_header", key="crh_id", order="crh_oh_id", number="crh_number", at="crh_at")

    @pytest.mark.parametrize(("at", "seconds"), [("2026-03-05T08:41:12.25Z", ORDERED), (None, None)])
    def test_a_return_has_a_number_and_perhaps_a_time(self, at: str | None, seconds: int | None) -> None:
        reader = readers(MAPPING.model_copy(update={"returns": self.RETURN}))["return_header"]
        row = {"crh_id": 54, "crh_oh_id": 5, "crh_number": " RT1 ", "crh_at": at}
        assert reader.read(row) == rows.Return("RT1", seconds)
        assert reader.routing == ("crh_oh_id",)

    def test_a_site_without_them_has_no_reader(self) -> None:
        assert "return_header" not in READERS
        assert MAPPING.returns is None


class TestFields:
    @pytest.mark.parametrize("table", ROWS)
    def test_every_field_named_is_one_of_the_row(self, table: str) -> None:
        reader = READERS[table]
        assert reader.fields.keys() <= set(type(reader.read(ROWS[table])).__struct_fields__)


class TestPrimaryKeys:
    @pytest.mark.parametrize(("key", "number"), [(5, 5), (0, 0), (-5, -5), ("5", 5), (5.0, 5), (2**63 - 1, 2**63 - 1)])
    def test_a_key_is_a_whole_number(self, key: object, number: int) -> None:
        assert READERS["order_header"].primary_key({"oh_id": key, "oh_company": 1}) == number

    @pytest.mark.parametrize(
        ("key", "code"),
        [
            ({"OH_ID": 5}, "key_column_missing"),
            ({"oh_id": None}, "key_null"),
            ({"oh_id": True}, "bad_integer"),
            ({"oh_id": 5.5}, "bad_integer"),
            ({"oh_id": 2**63}, "integer_out_of_range"),
        ],
    )
    def test_a_key_that_names_no_row_is_refused(self, key: Row, code: str) -> None:
        with pytest.raises(RecordError) as caught:
            READERS["order_header"].primary_key(key)
        assert caught.value.code == code


def test_the_reader_of_a_table_follows_its_mapping() -> None:
    header = MAPPING.order.header.model_copy(update={"table": "so_head", "number": "so_no"})
    order = MAPPING.order.model_copy(update={"header": header})
    mapping: Mapping = MAPPING.model_copy(update={"order": order})
    row = readers(mapping)["so_head"].read(ROWS["order_header"] | {"so_no": "SO1"})
    assert row == rows.Header("SO1", ORDERED, 7, 1, 2)
