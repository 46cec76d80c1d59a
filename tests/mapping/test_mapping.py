"""The mapping file: the default loads, a wrong one is told by file, line and field, and consent means what was written."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from streams.core.errors import ConfigurationError, MappingError
from streams.mapping import DEFAULT, Mapping, load_mapping

TEXT = DEFAULT.read_text("utf-8")


def line_of(fragment: str, text: str = TEXT) -> int:
    """The number of the first line that holds ``fragment``."""
    return 1 + next(index for index, line in enumerate(text.splitlines()) if fragment in line)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test's mapping goes."""
    return tmp_path / "mapping.yaml"


def loaded(file: Path, old: str = "", new: str = "") -> Mapping:
    """The default mapping with one fragment replaced."""
    assert old in TEXT
    file.write_text(TEXT.replace(old, new, 1), "utf-8")
    return load_mapping(file)


def problem(file: Path, old: str, new: str) -> str:
    """What is said about the default mapping with one fragment replaced."""
    with pytest.raises(MappingError) as caught:
        loaded(file, old, new)
    return str(caught.value)


class TestDefault:
    def test_it_loads_without_a_path(self) -> None:
        mapping = load_mapping()
        assert (mapping.version, mapping.source.database, mapping.exclude_days) == (1, "Orderwise", 30)

    def test_its_topics_are_those_that_debezium_writes(self) -> None:
        assert load_mapping().topic("order_header") == "ow.Orderwise.dbo.order_header"

    def test_it_opts_nobody_in(self) -> None:
        assert load_mapping().consent.mode == "none"

    def test_its_word_list_is_known_by_another_number_when_it_changes(self) -> None:
        rule = load_mapping().consent
        others = [
            rule.model_copy(update=change) for change in ({"mode": "column", "column": "a"}, {"opted_out": frozenset("n")})
        ]
        assert len({rule.words, *(other.words for other in others)}) == 3
        assert load_mapping().consent.words == rule.words != 0

    def test_its_money_is_exact(self) -> None:
        assert load_mapping().order.currencies[1].rate == Decimal(1)

    def test_it_cannot_be_changed(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load_mapping().exclude_days = 5  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("type_id", "kind"), [(1, "order"), (8, "order"), (4, "credit"), (9, "credit"), (3, "ignore"), (7, None), (None, None)]
    )
    def test_it_says_what_an_order_type_means(self, type_id: int | None, kind: str | None) -> None:
        assert load_mapping().order.types.kind(type_id) == kind

    def test_a_copy_of_it_is_the_same(self, file: Path) -> None:
        assert loaded(file) == load_mapping()


class TestProblems:
    @pytest.mark.parametrize(
        ("old", "new", "field"),
        [
            ("version: 1", "version: 2", "version"),
            ("database: Orderwise", "database: Order Wise", "source.database"),
            ("topic_prefix: ow", "topic_prefix: ow/x", "source.topic_prefix"),
            ("epoch: 0", "epoch: 65536", "source.epoch"),
            ("epoch: 0", "epoch: -1", "source.epoch"),
            ("key: cd_id", "key: cd_id; DROP TABLE x", "customer.key"),
            ("key: cd_id", "key: null", "customer.key"),
            ("key: cd_id", "key: [cd_id]", "customer.key"),
            ("emails: [cd_statement_email", "emails: [5, cd_statement_email", "customer.emails.0"),
            ("table: customer_contact", "table: ''", "contact.table"),
            ("house_accounts: []", "house_accounts: [1, web]", "house_accounts.1"),
            ("mode: none", "mode: some", "consent.mode"),
            ("number: oh_order_number", "number: oh-order-number", "order.header.number"),
            ("order: [1, 8]", "order: [1, eight]", "order.types.order.1"),
            ("on hold: held", "on hold: parked", "order.statuses.on hold"),
            ('1: {code: GBP, rate: "1"}', "1: {code: pounds, rate: 1}", "order.currencies.1.code"),
            ('1: {code: GBP, rate: "1"}', "1: {code: GBP, rate: 0}", "order.currencies.1.rate"),
            ('1: {code: GBP, rate: "1"}', "1: {code: GBP}", "order.currencies.1.rate"),
            ("default_currency: 1", "default_currency: GBP", "order.default_currency"),
            ("first_name: FIRSTNAME", "first_name: A FIELD NAME", "contact_fields.first_name"),
            ("first_name: FIRSTNAME", f"first_name: {'X' * 21}", "contact_fields.first_name"),
            ("exclude_days: 30", "exclude_days: 2026-13-45", "exclude_days"),
            ("exclude_days: 30", "exclude_days: -1", "exclude_days"),
            ("exclude_days: 30", "exclude_weeks: 4", "exclude_weeks"),
            ("timezone: Europe/London", "timezone: Europe/London\n  time_zone: Europe/Paris", "source.time_zone"),
        ],
    )
    def test_a_wrong_value_is_reported_by_file_line_and_field(self, file: Path, old: str, new: str, field: str) -> None:
        line = line_of(new.split("\n")[-1], TEXT.replace(old, new, 1))
        assert problem(file, old, new).startswith(f"{file}:{line}: {field}")

    @pytest.mark.parametrize(
        ("old", "new", "section", "message"),
        [
            ("timezone: Europe/London", "timezone: Mars/Base", "source:", "unknown time zone 'Mars/Base'"),
            ("timezone: Europe/London", "timezone: ../../etc/passwd", "source:", "unknown time zone"),
            ("timezone: Europe/London", "timezone: Europe", "source:", "unknown time zone"),
            ("timezone: Europe/London", "timezone: ''", "source:", "unknown time zone"),
            ("mode: none", "mode: column", "consent:", "consent.column must name a column"),
            ("credit: [4, 9]", "credit: [4, 1]", "  types:", r"order types \[1\] are listed twice"),
            ("ignore: [2,", "ignore: [4, 2,", "  types:", r"order types \[4\] are listed twice"),
            ("default_currency: 1", "default_currency: 2", "order:", "order.default_currency 2 is not in order.currencies"),
            ("trade: OW_TRADE", "trade: ow_account", "contact_fields:", "two values share the data field"),
        ],
    )
    def test_values_that_do_not_fit_each_other_are_reported_by_their_section(
        self, file: Path, old: str, new: str, section: str, message: str
    ) -> None:
        line = line_of(section, TEXT.replace(old, new, 1))
        with pytest.raises(MappingError, match=rf":{line}: {section.strip(' :')}.*{message}|:{line}: .*{message}"):
            loaded(file, old, new)

    def test_a_missing_key_is_reported_by_the_section_that_lacks_it(self, file: Path) -> None:
        said = problem(file, "    number: oh_order_number # C\n", "")
        assert said == f"{file}:{line_of('  header:')}: order.header.number: Field required"

    def test_every_problem_has_a_line_of_its_own(self, file: Path) -> None:
        said = problem(file, "version: 1\n", "version: 2\ncolour: blue\n").splitlines()
        assert [text.split(": ")[1] for text in said] == ["version", "colour"]

    def test_a_wrong_mapping_is_a_configuration_error(self, file: Path) -> None:
        with pytest.raises(ConfigurationError):
            loaded(file, "version: 1", "version: 2")


class TestFiles:
    def test_a_file_that_is_not_there_is_named(self, file: Path) -> None:
        with pytest.raises(MappingError, match=rf"^{file}: cannot be read: "):
            load_mapping(file)

    def test_so_is_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(MappingError, match=rf"^{tmp_path}: cannot be read: "):
            load_mapping(tmp_path)

    def test_so_is_a_file_that_is_not_utf_8(self, file: Path) -> None:
        file.write_bytes("größe: 1".encode("latin-1"))
        with pytest.raises(MappingError, match=rf"^{file}: cannot be read: "):
            load_mapping(file)

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("version: 1\nsource: [a\n", 3),
            ("version: 1\n\tsource: a\n", 2),
            ("a: 1\nb: *nowhere\n", 2),
            ("a: 1\n---\nb: 2\n", 2),
            ("a: 1\n? [b]\n: 2\n", 2),
            ("a: !!python/object/apply:os.system ['true']\n", 1),
            ("a: 1\nb: \x01\n", 1),
        ],
    )
    def test_what_is_no_yaml_is_reported_by_its_line(self, file: Path, text: str, line: int) -> None:
        file.write_text(text, "utf-8")
        with pytest.raises(MappingError, match=rf"^{file}:{line}: not valid YAML: "):
            load_mapping(file)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "text\n", "5\n"])
    def test_what_has_no_sections_is_reported(self, file: Path, text: str) -> None:
        file.write_text(text, "utf-8")
        with pytest.raises(MappingError, match=rf"^{file}:1: expected a mapping of sections"):
            load_mapping(file)


class TestDuplicates:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("house_accounts: []", "house_accounts: [5]\nhouse_accounts: []"),
            ("    completed: completed", "    completed: completed\n    completed: cancelled"),
            ('1: {code: GBP, rate: "1"}', '1: {code: GBP, rate: "1"}\n    1: {code: EUR, rate: "0.85"}'),
        ],
    )
    def test_a_key_that_is_there_twice_is_reported_by_its_second_line(self, file: Path, old: str, new: str) -> None:
        line = line_of(new.split("\n")[0], TEXT.replace(old, new, 1)) + 1
        assert problem(file, old, new).startswith(f"{file}:{line}: ")

    def test_two_spellings_of_one_status_are_reported(self, file: Path) -> None:
        said = problem(file, "    completed: completed", "    completed: completed\n    ' Completed': cancelled")
        assert said.startswith(f"{file}:{line_of('  statuses:')}: order.statuses: ")

    @pytest.mark.parametrize("table", ["customer_detail", "Customer_Detail", "order_header"])
    def test_a_table_that_is_mapped_twice_is_reported(self, file: Path, table: str) -> None:
        assert table.casefold() in problem(file, "table: customer_contact", f"table: {table}")

    def test_two_spellings_of_one_data_field_are_reported(self, file: Path) -> None:
        assert "['ow_trade']" in problem(file, "account: OW_ACCOUNT", "account: ow_trade")


class TestStatuses:
    def test_their_texts_are_trimmed_and_folded(self, file: Path) -> None:
        mapping = loaded(file, "    completed: completed", "    ' COMPLETED ': completed")
        assert mapping.order.statuses == load_mapping().order.statuses


class TestConsent:
    def rule(self, file: Path, *lines: str) -> tuple[frozenset[str], frozenset[str]]:
        """What opts in and what opts out, as written under ``consent``."""
        written = "".join(f"\n  {line}" for line in ("column: cc_opt", *lines))
        consent = loaded(file, "mode: none", "mode: column" + written).consent
        assert (consent.mode, consent.column) == ("column", "cc_opt")
        return consent.opted_in, consent.opted_out

    def test_without_values_a_bit_and_a_number_are_understood(self, file: Path) -> None:
        assert self.rule(file) == (frozenset({"1", "true"}), frozenset({"0", "false"}))

    @pytest.mark.parametrize("written", ["true", "True", "TRUE", '"true"', "' True '"])
    def test_a_boolean_is_its_text(self, file: Path, written: str) -> None:
        assert self.rule(file, f"opted_in: [{written}]")[0] == {"true"}

    @pytest.mark.parametrize(("written", "text"), [("1", "1"), ('"1"', "1"), ("-1", "-1"), ("Y", "y"), ("'  Ja '", "ja")])
    def test_a_number_or_a_word_is_its_text(self, file: Path, written: str, text: str) -> None:
        assert self.rule(file, f"opted_in: [{written}]")[0] == {text}

    @pytest.mark.parametrize("word", ["yes", "Yes", "on", "y"])
    def test_an_unquoted_word_for_true_is_the_word(self, file: Path, word: str) -> None:
        assert self.rule(file, f"opted_in: [{word}]")[0] == {word.casefold()}

    @pytest.mark.parametrize("word", ["no", "No", "NO", "off", "n"])
    def test_an_unquoted_word_for_false_is_the_word(self, file: Path, word: str) -> None:
        assert self.rule(file, f"opted_out: [{word}]")[1] == {word.casefold()}

    @pytest.mark.parametrize("lines", [("opted_out: [1]",), ("opted_in: [Yes]", "opted_out: [' yes']")])
    def test_a_value_cannot_mean_both(self, file: Path, lines: tuple[str, ...]) -> None:
        with pytest.raises(MappingError, match=r"consent: .* are in both opted_in and opted_out"):
            self.rule(file, *lines)

    @pytest.mark.parametrize("value", ["true", "1", "{a: 1}", "[1.5]", "[[1]]", "[null]"])
    def test_a_value_of_another_kind_is_refused(self, file: Path, value: str) -> None:
        with pytest.raises(MappingError, match=r"consent\.opted_out"):
            self.rule(file, f"opted_out: {value}")

    @pytest.mark.parametrize("mode", ["Column", "true", "null"])
    def test_a_mode_is_written_as_in_the_manual(self, file: Path, mode: str) -> None:
        assert ": consent.mode: " in problem(file, "mode: none", f"mode: {mode}")

    def test_another_system_that_owns_it_needs_no_column(self, file: Path) -> None:
        mapping = loaded(file, "mode: none", "mode: external")
        assert (mapping.consent.mode, mapping.consent.column) == ("external", None)

    @pytest.mark.parametrize(("mode", "captured"), [("none", False), ("external", False), ("column", True)])
    def test_its_column_is_captured_only_where_it_is_read(self, file: Path, mode: str, captured: bool) -> None:
        mapping = loaded(file, "mode: none", f"mode: {mode}\n  column: cc_opt")
        assert ("cc_opt" in mapping.columns["customer_contact"]) == captured

    def test_without_a_rule_a_column_may_be_named_and_is_not_used(self, file: Path) -> None:
        assert loaded(file, "mode: none", "mode: none\n  column: cc_opt").consent.mode == "none"


class TestErasure:
    def test_its_column_is_captured_and_its_values_are_texts(self, file: Path) -> None:
        mapping = loaded(file, "erasure: null", "erasure: {column: cc_erased, erased: [true, ' Yes ', 1]}")
        assert mapping.erasure is not None
        assert mapping.erasure.erased == {"true", "yes", "1"}
        assert mapping.columns["customer_contact"][-1] == "cc_erased"

    def test_it_needs_a_column(self, file: Path) -> None:
        assert ": erasure.column: Field required" in problem(file, "erasure: null", "erasure: {erased: [1]}")


class TestCatalogue:
    def test_an_address_may_hold_what_is_filled_in(self, file: Path) -> None:
        mapping = loaded(file, "url: null", "url: 'https://shop.example/{code}/{sku}?v={id}'")
        assert mapping.delivery.catalogue is not None
        assert mapping.delivery.catalogue.url == "https://shop.example/{code}/{sku}?v={id}"

    @pytest.mark.parametrize("placeholder", ["slug", "SKU", "", " id "])
    def test_an_address_with_anything_else_is_refused(self, file: Path, placeholder: str) -> None:
        said = problem(file, "image: null", f"image: 'https://shop.example/{{{placeholder}}}'")
        assert f": delivery.catalogue.image: Value error, ['{placeholder}'] are not placeholders" in said

    def test_a_site_may_have_no_products(self, file: Path) -> None:
        with_products = load_mapping()
        start, end = TEXT.index("products: #"), TEXT.index("erasure: null")
        without = loaded(file, TEXT[start:end], "products: null\n\n")
        assert without.products is None
        assert set(with_products.tables) - set(without.tables) == {
            "product_detail",
            "variant_detail",
            "variant_foreign_price",
            "variant_stock_quantity",
            "category_treeview_node",
            "variant_category",
        }


class TestBulkWindows:
    def test_by_default_bulk_may_always_be_sent(self) -> None:
        assert load_mapping().delivery.bulk_windows == ()

    def test_they_are_read_as_written(self, file: Path) -> None:
        mapping = loaded(file, "bulk_windows: []", "bulk_windows: [mon-fri 22:00-06:00, '23:00-05:00']")
        assert mapping.delivery.bulk_windows == ("mon-fri 22:00-06:00", "23:00-05:00")

    def test_one_that_is_none_is_reported_by_its_line(self, file: Path) -> None:
        said = problem(file, "bulk_windows: []", "bulk_windows:\n    - mon 22:00-06:00\n    - nights")
        line = line_of("- nights", file.read_text("utf-8"))
        assert f"mapping.yaml:{line}: delivery.bulk_windows.1: Value error, 'nights' is not a window" in said


@pytest.mark.parametrize("key", ["large", "zoned"])
def test_a_marked_column_is_one_that_is_mapped(key: str) -> None:
    data = load_mapping().model_dump(by_alias=True)
    data["contact"][key] = ["cc_notes"]
    with pytest.raises(ValueError, match=f"{key} names ..cc_notes.., which no other key maps"):
        Mapping.model_validate(data)
    data["contact"][key] = ["cc_name"]
    assert Mapping.model_validate(data).columns == load_mapping().columns


def test_a_text_that_may_be_an_address_says_not_that_there_is_none() -> None:
    data = load_mapping().model_dump(by_alias=True)
    data["no_address"] = ["N/A", "none@example.com"]
    with pytest.raises(ValueError, match=r"none@example\.com.*may be some"):
        Mapping.model_validate(data)
    data["no_address"] = ["N/A", " None "]
    assert Mapping.model_validate(data).no_address == {"n/a", "none"}


def test_a_key_cannot_be_a_large_column() -> None:
    data = load_mapping().model_dump(by_alias=True)
    data["contact"]["large"] = ["cc_id"]
    with pytest.raises(ValueError, match="cannot be a large column"):
        Mapping.model_validate(data)


@pytest.mark.parametrize(
    ("date", "meaningful"),
    [
        ("0001-01-02T00:00:00", False),
        ("1899-12-30T00:00:00", False),
        ("1900-01-01T00:00:00", False),
        ("1989-12-31T23:59:59", False),
        ("1990-01-01T00:00:00", True),
        ("2026-03-05T08:41:12", True),
        ("2027-03-06T08:41:12", True),
        ("2027-03-06T08:41:13", False),
        ("2062-03-05T08:41:12", False),
        ("9999-12-31T23:59:59", False),
    ],
)
def test_a_date_means_something_between_the_first_year_and_the_near_future(date: str, meaningful: bool) -> None:
    at, changed = (int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in (date, "2026-03-05T08:41:12"))
    assert load_mapping().source.is_meaningful(at, changed) == meaningful
