"""What a change tells of the columns that it did not touch."""

from typing import Any

import pytest

from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.capture.images import after_image
from streams.capture.reader import readers
from streams.mapping import load_mapping
from tests.capture.records import ROWS

MAPPING = load_mapping()
READERS = readers(MAPPING)


def update(table: str, before: dict[str, Any] | None, after: dict[str, Any]) -> RowEvent:
    """An update of a table's sample row; ``before`` and ``after`` are what differs from it."""
    return RowEvent(table, "u", {}, None if before is None else ROWS[table] | before, ROWS[table] | after, b"", 0, False)


def kept(event: RowEvent, **large: frozenset[str]) -> tuple[str, ...]:
    """The fields that keep their stored values; ``large`` are columns by section."""
    updates = {name: getattr(MAPPING, name).model_copy(update={"large": names}) for name, names in large.items()}
    return after_image(event, readers(MAPPING.model_copy(update=updates))[event.table]).keep


@pytest.mark.parametrize(
    ("table", "column", "fields"),
    [
        ("customer_detail", "cd_ow_account", {"account"}),
        ("customer_contact", "cc_email", {"emails", "excluded", "unreadable"}),
        ("order_header", "oh_order_number", {"number"}),
        ("delivery_header", "dh_consignment_number", {"consignment"}),
        ("order_status", "os_description", {"text"}),
        ("product_detail", "pd_description", {"name"}),
        ("variant_detail", "vad_variant_code", {"code"}),
        ("category_treeview_node", "ctn_description", {"name"}),
    ],
)
class TestOneColumn:
    @pytest.mark.parametrize("before", [None, UNAVAILABLE])
    @pytest.mark.parametrize("after", [None, UNAVAILABLE])
    def test_without_a_value_in_either_image_it_did_not_change(
        self, table: str, column: str, fields: set[str], before: object, after: object
    ) -> None:
        image = after_image(update(table, {column: before}, {column: after}), READERS[table])
        assert (set(image.keep), image.columns[column]) == (fields, None)
        assert column in image.missing

    def test_a_real_clearing_has_the_old_value(self, table: str, column: str, fields: set[str]) -> None:
        assert kept(update(table, {column: "old"}, {column: None})) == ()

    def test_a_placeholder_is_what_the_row_was_before(self, table: str, column: str, fields: set[str]) -> None:
        image = after_image(update(table, {column: "old"}, {column: UNAVAILABLE}), READERS[table])
        assert (image.columns[column], image.keep) == ("old", ())

    def test_a_row_that_is_new_has_no_earlier_value(self, table: str, column: str, fields: set[str]) -> None:
        inserted = RowEvent(table, "c", {}, None, ROWS[table] | {column: None}, b"", 0, False)
        assert after_image(inserted, READERS[table]).keep == ()


class TestSeveralColumns:
    @pytest.mark.parametrize("before", [None, {}])
    def test_the_first_that_has_a_value_decides(self, before: dict[str, Any] | None) -> None:
        assert kept(update("customer_detail", before, {"cd_invoice_email": UNAVAILABLE})) == ()
        assert set(kept(update("customer_detail", None, {"cd_statement_email": UNAVAILABLE}))) == {"emails", "unreadable"}
        assert kept(update("customer_contact", before, {"cc_name": UNAVAILABLE})) == ()
        assert kept(update("customer_contact", None, {"cc_first_name": UNAVAILABLE})) == ("first_name",)

    def test_ordinary_columns_that_stay_null_do_not_hide_another_that_changed(self) -> None:
        names = {"cc_first_name": None, "cc_last_name": None}
        assert kept(update("customer_contact", names | {"cc_name": "Ann Lee"}, names | {"cc_name": None})) == ()
        assert kept(update("customer_detail", {"cd_statement_email": "a@x.com"}, {"cd_statement_email": None})) == ()

    def test_all_of_them_null_in_both_images_keep_the_field(self) -> None:
        nothing = {"cd_statement_email": None, "cd_invoice_email": None}
        assert set(kept(update("customer_detail", nothing, nothing))) == {"emails", "unreadable"}

    def test_a_large_column_may_have_a_value_that_nobody_shows(self) -> None:
        changed = update(
            "customer_detail",
            {"cd_statement_email": None, "cd_invoice_email": "a@x.com"},
            {"cd_statement_email": None, "cd_invoice_email": "b@x.com"},
        )
        assert kept(changed) == ()
        assert set(kept(changed, customer=frozenset({"cd_statement_email"}))) == {"emails", "unreadable"}


@pytest.mark.parametrize("before", [None, {}])
def test_without_a_sound_image_before_a_large_column_keeps_its_value(before: dict[str, Any] | None) -> None:
    table, column = "customer_contact", "cc_email"
    event = RowEvent(table, "u", {}, before, ROWS[table] | {column: None}, b"", 0, False)
    assert kept(event) == ()
    assert set(kept(event, contact=frozenset({column}))) == {"emails", "excluded", "unreadable"}


def test_a_site_may_have_no_placeholder_in_any_column() -> None:
    event = update("customer_contact", {}, {})
    assert after_image(event, READERS["customer_contact"]).columns is event.after
