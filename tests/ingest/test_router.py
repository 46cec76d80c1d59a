"""Routing: to whom a row's change is told, with what, and from whom the row is taken away."""

from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import Counter

from streams.capture import rows
from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.core.errors import RecordError
from streams.core.lanes import Lane
from streams.ingest.router import Router
from streams.mapping import Mapping, load_mapping
from streams.mapping.tables import Return
from streams.messages.changes import EVERYWHERE, Change, ChangeKind, pack
from streams.messages.contributions import AddressLeft
from streams.messages.topics import Topics
from tests.wire import unpack

TOPICS = Topics.of("owdd")
HOUSE = frozenset({1, 2})
RETURNS = Return(table="return_header", key="crh_id", order="crh_oh_id", number="crh_number", at="crh_at")
MAPPING = load_mapping().model_copy(update={"house_accounts": HOUSE, "returns": RETURNS})
POSITION = b"\0\0" + b"\x01" * 10
BORN = 1_772_700_073_190

SAMPLES: dict[str, dict[str, Any]] = {
    "customer_detail": {
        "cd_id": 7,
        "cd_ow_account": "BRI001",
        "cd_account_customer": False,
        "cd_statement_email": "accounts@bright.co.uk",
        "cd_invoice_email": None,
    },
    "customer_contact": {
        "cc_id": 70,
        "cc_customer_id": 7,
        "cc_name": None,
        "cc_first_name": "Ann",
        "cc_last_name": "Lee",
        "cc_email": "ann@bright.co.uk",
    },
    "order_header": {
        "oh_id": 5,
        "oh_order_number": "SO10042",
        "oh_datetime": "2026-03-05T08:41:12Z",
        "oh_cd_id": 7,
        "oh_sot_id": 1,
        "oh_os_id": 2,
    },
    "order_header_detail": {
        "ohd_id": 50,
        "ohd_oh_id": 5,
        "ohd_c_id": 1,
        "ohd_delivery_email": "ann@bright.co.uk",
        "ohd_invoice_email": None,
    },
    "order_header_total": {"oht_id": 51, "oht_oh_id": 5, "oht_net": "140.0000"},
    "order_line_item": {
        "oli_id": 52,
        "oli_oh_id": 5,
        "oli_vad_id": 900,
        "oli_original_oli_id": None,
        "oli_qty_required": "2.0000",
        "oli_line_net": "140.0000",
    },
    "delivery_header": {"dh_id": 53, "dh_oh_id": 5, "dh_datetime": "2026-03-06T10:00:00Z", "dh_consignment_number": "JD1"},
    "order_status": {"os_id": 2, "os_description": "Completed"},
    "return_header": {"crh_id": 54, "crh_oh_id": 5, "crh_number": "RT1", "crh_at": "2026-03-09T09:00:00Z"},
    "product_detail": {"pd_id": 90, "pd_product_code": "KET", "pd_description": "Kettle"},
    "variant_detail": {
        "vad_id": 900,
        "vad_pd_id": 90,
        "vad_variant_code": "KET-RED",
        "vad_description": "Kettle, red",
        "vad_sale_variant": True,
    },
    "variant_foreign_price": {
        "vafp_id": 91,
        "vafp_vad_id": 900,
        "vafp_c_id": 1,
        "vafp_rsp_exc_vat": "140.0000",
        "vafp_price_per": "1.0000",
        "vafp_base_price": True,
    },
    "variant_stock_quantity": {"vasq_id": 92, "vasq_vad_id": 900, "vasq_free_stock_quantity": "12.0000"},
    "category_treeview_node": {"ctn_id": 93, "ctn_description": "Kitchen"},
    "variant_category": {"vac_id": 94, "vac_vad_id": 900, "vac_ctn_id": 93},
}
REFERENCES = {
    "order_header_detail": "ohd_oh_id",
    "order_header_total": "oht_oh_id",
    "order_line_item": "oli_oh_id",
    "delivery_header": "dh_oh_id",
    "return_header": "crh_oh_id",
    "variant_foreign_price": "vafp_vad_id",
    "variant_stock_quantity": "vasq_vad_id",
    "variant_category": "vac_vad_id",
}
"""The column by which a row belongs to an order or a variant."""


def event(
    table: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    *,
    op: str = "u",
    snapshot: bool = False,
) -> RowEvent:
    """A change of the table's sample row; ``before`` and ``after`` say in which columns it differs on that side."""
    sample = SAMPLES[table]
    column, pk = next(iter(sample.items()))
    old = None if before is None else sample | before
    new = None if after is None else sample | after
    return RowEvent(table, op, {column: pk}, old, new, POSITION, BORN, snapshot)


def routed(happening: RowEvent, mapping: Mapping = MAPPING) -> list[Change]:
    """The changes that an event makes, in order."""
    return [change for _, change in Router(mapping, TOPICS).route(happening, BORN)]


def published(happening: RowEvent) -> list[tuple[str, bool]]:
    """Whom an event is told to, and whether the row is theirs now (or theirs no more)."""
    return [(change.key, not isinstance(change.row, AddressLeft | None)) for change in routed(happening)]


class TestParents:
    @pytest.mark.parametrize(
        ("table", "kind", "topic", "parent"),
        [
            ("customer_detail", ChangeKind.CUSTOMER, TOPICS.buyers, "c7"),
            ("customer_contact", ChangeKind.CONTACT, TOPICS.buyers, "c7"),
            ("order_header", ChangeKind.HEADER, TOPICS.orders, "5"),
            ("order_header_detail", ChangeKind.DETAIL, TOPICS.orders, "5"),
            ("order_header_total", ChangeKind.TOTAL, TOPICS.orders, "5"),
            ("order_line_item", ChangeKind.LINE, TOPICS.orders, "5"),
            ("delivery_header", ChangeKind.DESPATCH, TOPICS.orders, "5"),
            ("order_status", ChangeKind.STATUS, TOPICS.orders, EVERYWHERE),
            ("return_header", ChangeKind.RETURN, TOPICS.orders, "5"),
            ("product_detail", ChangeKind.PRODUCT, TOPICS.products, EVERYWHERE),
            ("variant_detail", ChangeKind.VARIANT, TOPICS.products, "900"),
            ("variant_foreign_price", ChangeKind.PRICE, TOPICS.products, "900"),
            ("variant_stock_quantity", ChangeKind.STOCK, TOPICS.products, "900"),
            ("category_treeview_node", ChangeKind.CATEGORY, TOPICS.products, EVERYWHERE),
            ("variant_category", ChangeKind.MEMBERSHIP, TOPICS.products, "900"),
        ],
    )
    def test_each_table_has_its_own(self, table: str, kind: ChangeKind, topic: str, parent: str) -> None:
        ((to, change),) = Router(MAPPING, TOPICS).route(event(table, after={}, op="c"), BORN)
        pk = next(iter(SAMPLES[table].values()))
        assert (to, change.kind, change.key, change.pk) == (topic, kind, parent, pk)
        assert (change.position, change.caused_at, change.keep) == (POSITION, BORN, ())
        assert change.row is not None

    @pytest.mark.parametrize("table", SAMPLES)
    def test_an_update_in_place_is_reported_once(self, table: str) -> None:
        assert [there for _, there in published(event(table, before={}, after={}))] == [True]

    @pytest.mark.parametrize("table", SAMPLES)
    def test_a_delete_takes_the_row_from_its_parent(self, table: str) -> None:
        created, deleted = published(event(table, after={}, op="c")), published(event(table, before={}, op="d"))
        assert deleted == [(parent, False) for parent, _ in created]

    @pytest.mark.parametrize(("table", "column"), REFERENCES.items())
    @pytest.mark.parametrize("none", [None, 0])
    def test_a_row_that_names_no_parent_is_reported_to_nobody(self, table: str, column: str, none: object) -> None:
        assert published(event(table, after={column: none}, op="c")) == []
        assert published(event(table, before={column: none}, op="d")) == []

    @pytest.mark.parametrize(("table", "column"), [*REFERENCES.items(), ("customer_contact", "cc_customer_id")])
    def test_a_row_without_the_column_of_its_parent_is_refused(self, table: str, column: str) -> None:
        happening = event(table, after={}, op="c")
        assert happening.after is not None
        del happening.after[column]
        with pytest.raises(RecordError, match=rf"^column_missing: {column} "):
            routed(happening)

    def test_an_id_may_be_negative(self) -> None:
        assert published(event("order_line_item", after={"oli_oh_id": -5})) == [("-5", True)]
        assert published(event("customer_contact", after={"cc_customer_id": -7})) == [("c-7", True)]

    def test_a_variant_that_changes_product_stays_itself(self) -> None:
        assert published(event("variant_detail", before={"vad_pd_id": 90}, after={"vad_pd_id": 91})) == [("900", True)]

    @pytest.mark.parametrize("table", ["return_header", "product_detail", "variant_foreign_price", "category_treeview_node"])
    def test_a_site_without_products_and_returns_has_no_such_tables(self, table: str) -> None:
        bare = MAPPING.model_copy(update={"products": None, "returns": None})
        with pytest.raises(RecordError, match=r"^not_mapped: "):
            routed(event(table, after={}, op="c"), bare)
        assert routed(event("order_line_item", after={}, op="c"), bare)

    def test_a_table_that_is_not_mapped_is_refused(self) -> None:
        stranger = RowEvent("stock_balance", "c", {"sb_id": 1}, None, {"sb_id": 1}, POSITION, 1, False)
        with pytest.raises(RecordError, match=r"^not_mapped: "):
            routed(stranger)


class TestMoves:
    @pytest.mark.parametrize(("table", "column"), REFERENCES.items())
    def test_a_row_that_moves_to_another_parent_is_reported_to_both_at_one_position(self, table: str, column: str) -> None:
        new, old = routed(event(table, before={column: 5}, after={column: 6}))
        assert (new.key, old.key) == ("6", "5")
        assert (new.position, old.position) == (POSITION, POSITION)
        assert (new.pk, new.kind, new.lane, new.caused_at) == (old.pk, old.kind, old.lane, old.caused_at)
        assert new.row is not None
        assert old.row is None

    @pytest.mark.parametrize(("table", "column"), REFERENCES.items())
    def test_a_row_that_leaves_its_parent_for_none_is_taken_away(self, table: str, column: str) -> None:
        assert published(event(table, before={column: 5}, after={column: 0})) == [("5", False)]

    @pytest.mark.parametrize(("table", "column"), REFERENCES.items())
    def test_a_row_that_joins_a_parent_has_no_former_one(self, table: str, column: str) -> None:
        assert published(event(table, before={column: None}, after={column: 6})) == [("6", True)]

    @pytest.mark.parametrize(("table", "column"), [*REFERENCES.items(), ("customer_contact", "cc_customer_id")])
    def test_a_change_heals_a_row_whose_reference_could_not_be_read(self, table: str, column: str) -> None:
        with pytest.raises(RecordError, match=r"^bad_integer: "):
            routed(event(table, before={}, after={column: ""}))
        assert published(event(table, before={column: ""}, after={})) == published(event(table, after={}, op="c"))
        with pytest.raises(RecordError, match=r"^bad_integer: "):
            routed(event(table, before={column: ""}, op="d"))

    def test_text_and_number_of_one_reference_are_one_parent(self) -> None:
        assert published(event("order_line_item", before={"oli_oh_id": "5"}, after={"oli_oh_id": 5})) == [("5", True)]

    def test_a_contact_that_changes_account_is_reported_to_both(self) -> None:
        moved = event("customer_contact", before={"cc_customer_id": 7}, after={"cc_customer_id": 8})
        assert published(moved) == [("c8", True), ("c7", False)]

    @pytest.mark.parametrize(
        ("email", "gone"), [("zoe@bright.co.uk; ann@bright.co.uk", AddressLeft("zoe@bright.co.uk")), ("tbc", None)]
    )
    @pytest.mark.parametrize("account", [8, 1, None])
    def test_a_contacts_former_parent_learns_where_the_person_went(self, account: int | None, email: str, gone: object) -> None:
        moved = event("customer_contact", before={}, after={"cc_customer_id": account, "cc_email": email})
        former = routed(moved)[-1]
        assert (former.key, former.row) == ("c7", gone)

    def test_a_contact_that_is_deleted_went_nowhere(self) -> None:
        assert [change.row for change in routed(event("customer_contact", before={}, op="d"))] == [None]

    def test_a_contact_that_changes_address_stays_with_its_account(self) -> None:
        moved = event("customer_contact", before={"cc_email": "ann@bright.co.uk"}, after={"cc_email": "zoe@bright.co.uk"})
        assert published(moved) == [("c7", True)]

    def test_an_update_whose_former_row_is_unknown_removes_nothing(self) -> None:
        assert published(event("order_line_item", after={"oli_oh_id": 6})) == [("6", True)]


class TestHouseAccounts:
    @pytest.mark.parametrize("account", sorted(HOUSE))
    def test_their_own_rows_are_dropped(self, account: int) -> None:
        row = SAMPLES["customer_detail"] | {"cd_id": account}
        assert routed(RowEvent("customer_detail", "c", {"cd_id": account}, None, row, POSITION, 1, False)) == []
        assert routed(RowEvent("customer_detail", "d", {"cd_id": account}, row, None, POSITION, 1, False)) == []

    def test_their_contacts_belong_to_their_addresses(self) -> None:
        happening = event("customer_contact", after={"cc_customer_id": 1, "cc_email": "Ann@Bright.co.uk; zoe@bright.co.uk"})
        assert published(happening) == [("eann@bright.co.uk", True), ("ezoe@bright.co.uk", True)]

    @pytest.mark.parametrize("empty", [None, "", " \u200b "])
    def test_a_contact_without_an_address_is_reported_to_nobody(self, empty: str | None) -> None:
        assert published(event("customer_contact", after={"cc_customer_id": 1, "cc_email": empty})) == []

    def test_a_contact_whose_address_cannot_be_read_is_listed_by_itself_until_it_can(self) -> None:
        house = {"cc_customer_id": 1}
        readable, unreadable = house | {"cc_email": "ann@bright.co.uk"}, house | {"cc_email": "ann@bright.co,uk"}
        (listed,) = routed(event("customer_contact", after=unreadable, op="c"))
        assert (listed.key, listed.row) == ("u70", rows.Contact((), None, None, None, unreadable=True))
        listed, left = routed(event("customer_contact", before=readable, after=unreadable))
        sample = SAMPLES["customer_contact"]
        names = sample["cc_first_name"], sample["cc_last_name"]
        assert (listed.key, listed.row) == ("u70", rows.Contact(("ann@bright.co.uk",), *names, None, unreadable=True))
        assert (left.key, left.row) == ("eann@bright.co.uk", None)
        assert published(event("customer_contact", before=unreadable, after=readable)) == [
            ("eann@bright.co.uk", True),
            ("u70", False),
        ]
        assert published(event("customer_contact", before=unreadable, op="d")) == [("u70", False)]

    def test_a_house_contact_without_a_known_address_is_not_dropped(self) -> None:
        with pytest.raises(RecordError, match=r"^address_unavailable: cc_email "):
            routed(event("customer_contact", before=None, after={"cc_customer_id": 1, "cc_email": UNAVAILABLE}))

    def test_a_contact_that_changes_address_is_taken_from_the_old_one(self) -> None:
        happening = event(
            "customer_contact",
            before={"cc_customer_id": 1, "cc_email": "ann@bright.co.uk, zoe@bright.co.uk"},
            after={"cc_customer_id": 1, "cc_email": "zoe@bright.co.uk; bob@bright.co.uk"},
        )
        assert published(happening) == [("ezoe@bright.co.uk", True), ("ebob@bright.co.uk", True), ("eann@bright.co.uk", False)]

    def test_another_spelling_of_one_address_moves_nothing(self) -> None:
        happening = event(
            "customer_contact",
            before={"cc_customer_id": 1, "cc_email": "ANN@bright.co.uk"},
            after={"cc_customer_id": 1, "cc_email": "<ann@bright.co.uk>"},
        )
        assert published(happening) == [("eann@bright.co.uk", True)]

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            (1, 7, [("c7", True), ("eann@bright.co.uk", False)]),
            (7, 1, [("eann@bright.co.uk", True), ("c7", False)]),
            (1, 2, [("eann@bright.co.uk", True)]),
            (1, 0, [("u70", True), ("eann@bright.co.uk", False)]),
        ],
    )
    def test_a_contact_may_move_in_and_out_of_them(self, before: int, after: int, expected: list[tuple[str, bool]]) -> None:
        happening = event("customer_contact", before={"cc_customer_id": before}, after={"cc_customer_id": after})
        assert published(happening) == expected


class TestDates:
    @pytest.mark.parametrize(
        ("table", "column"), [("order_header", "oh_datetime"), ("delivery_header", "dh_datetime"), ("return_header", "crh_at")]
    )
    @pytest.mark.parametrize(("date", "dated"), [("1900-01-01Z", False), ("2026-03-05Z", True), ("2062-03-05Z", False)])
    @pytest.mark.parametrize("at", [0, BORN])
    def test_one_that_means_nothing_is_counted_and_not_passed_on(
        self, table: str, column: str, date: str, dated: bool, at: int
    ) -> None:
        ignored = Counter("ignored", "", ["table"], registry=None)
        ((_, change),) = Router(MAPPING, TOPICS, ignored).route(replace(event(table, after={column: date}), at=at), BORN)
        row: Any = change.row
        assert (row.dated if table == "order_header" else row.at is not None) == dated
        assert ignored.labels(table)._value.get() == (not dated)


class TestLanes:
    @pytest.mark.parametrize("table", SAMPLES)
    def test_a_despatch_is_urgent_and_the_rest_live(self, table: str) -> None:
        lane = Lane.URGENT if table == "delivery_header" else Lane.LIVE
        assert [change.lane for change in routed(event(table, after={}))] == [lane]
        assert [change.lane for change in routed(event(table, before={}, op="d"))] == [lane]

    @pytest.mark.parametrize("table", SAMPLES)
    def test_a_snapshot_is_bulk_whatever_the_table(self, table: str) -> None:
        assert [change.lane for change in routed(event(table, after={}, op="r", snapshot=True))] == [Lane.BULK]


class TestUnavailableColumns:
    def test_their_fields_are_empty_and_named(self) -> None:
        (change,) = routed(event("customer_contact", before={"cc_email": UNAVAILABLE}, after={"cc_email": UNAVAILABLE}))
        assert change.keep == ("emails", "excluded", "unreadable")
        assert change.row == rows.Contact((), "Ann", "Lee", None)

    def test_an_unmapped_one_is_no_matter(self) -> None:
        (change,) = routed(event("customer_contact", before={}, after={"cc_notes": UNAVAILABLE}))
        assert change.keep == ()
        assert change.row == rows.Contact(("ann@bright.co.uk",), "Ann", "Lee", None)

    def test_the_mark_itself_is_never_taken_for_a_value(self) -> None:
        (change,) = routed(event("order_header", after={"oh_order_number": UNAVAILABLE}))
        assert change.keep == ("number",)
        assert UNAVAILABLE.encode() not in pack([change])


PERSONAL = {
    "cc_mobile": "07700 900123",
    "cd_statement_address1": "12 Quagga Street",
    "ohd_delivery_name": "Quagga",
    "oh_cust_order_ref": "quagga",
    "oli_vad_description": "quagga",
    "nested": {"quagga": ["07700 900123"]},
}
"""Columns that nobody mapped."""


class TestUnmappedColumns:
    @pytest.mark.parametrize("table", SAMPLES)
    def test_nothing_of_them_reaches_our_topics(self, table: str) -> None:
        happening = event(table, before=PERSONAL, after=PERSONAL)
        packed = pack(routed(happening)).lower()
        assert b"quagga" not in packed
        assert b"07700" not in packed

    @pytest.mark.parametrize("table", SAMPLES)
    def test_what_is_reported_survives_the_journey(self, table: str) -> None:
        changes = routed(event(table, before={}, after={}))
        assert unpack(pack(changes)) == changes

    def test_the_record_says_nothing_more_than_the_row(self) -> None:
        (change,) = routed(event("order_header_total", after=PERSONAL))
        assert pack([change]).count(b"140.0000") == 1
        assert len(pack([change])) < 64
