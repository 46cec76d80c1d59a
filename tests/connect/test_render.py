"""The rendered connector captures what the mapping names and nothing else, and its topics are the product's."""

import re
from typing import get_args

import pytest

from streams.capture.reader import readers
from streams.connect.lint import lint
from streams.connect.render import Config, connector
from streams.core.errors import ConfigurationError
from streams.kafka.capture_topics import HEARTBEAT_COLUMNS, SIGNAL_COLUMNS, CaptureNames
from streams.kafka.topics import capture_specs, captured
from streams.mapping.model import Erasure
from streams.mapping.tables import Return
from streams.settings import Settings, SourceKind
from tests.capture import records
from tests.connect.connect_harness import MAPPING, mapping, settings

KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
RETURNS = Return(table="return_header", key="crh_id", order="crh_oh_id", number="crh_number", at="crh_at")
BY_KIND = pytest.mark.parametrize("kind", KINDS)


def listed(config: Config, key: str) -> list[re.Pattern[str]]:
    """The patterns of a list, as Debezium compiles them: split at commas, anchored, blind to case."""
    return [re.compile(pattern, re.IGNORECASE) for pattern in config[key].split(",")]


def matches(config: Config, key: str, name: str) -> bool:
    """Whether Debezium would include ``name``."""
    return any(pattern.fullmatch(name) for pattern in listed(config, key))


class TestWhatIsCaptured:
    @BY_KIND
    def test_every_mapped_table_and_the_heartbeat(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings())
        for table in [*(f"dbo.{table}" for table in MAPPING.tables), "owdd.heartbeat"]:
            assert sum(bool(pattern.fullmatch(table)) for pattern in listed(config, "table.include.list")) == 1, table

    @pytest.mark.parametrize(
        "name",
        ["dbo.order_header_x", "dbo.xorder_header", "dboXorder_header", "sales.order_header", "dbo.order", "dbo.user_detail"],
    )
    def test_no_other_table(self, name: str) -> None:
        assert not matches(connector(MAPPING, "sqlserver", settings()), "table.include.list", name)

    @BY_KIND
    def test_every_mapped_column_and_those_of_our_tables(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings())
        columns = [f"dbo.{table}.{column}" for table, names in MAPPING.columns.items() for column in names]
        columns += [f"owdd.heartbeat.{column}" for column in HEARTBEAT_COLUMNS]
        columns += [f"owdd.signal.{column}" for column in SIGNAL_COLUMNS]
        assert all(matches(config, "column.include.list", column) for column in columns)

    @pytest.mark.parametrize(
        "name", ["dbo.customer_contact.cc_mobile", "dbo.order_header.cc_email", "dbo.order_header.oh_id_2", "dbo.x.oh_id"]
    )
    def test_no_other_column(self, name: str) -> None:
        assert not matches(connector(MAPPING, "sqlserver", settings()), "column.include.list", name)

    def test_the_captured_columns_are_all_that_the_product_reads(self) -> None:
        site = mapping(consent={"mode": "column", "column": "cc_marketing_opt_in"})
        site = site.model_copy(update={"erasure": Erasure(column="cc_erased"), "returns": RETURNS})
        rows = records.ROWS | {
            "customer_contact": records.CONTACT | {"cc_marketing_opt_in": True, "cc_erased": True},
            "return_header": {"crh_id": 54, "crh_oh_id": 5, "crh_number": "RT1", "crh_at": records.AT, "crh_notes": "broken"},
        }
        assert readers(site).keys() == rows.keys()
        for table, reader in readers(site).items():
            row = rows[table]
            captured_row = {column: row[column] for column in site.columns[table]}
            assert reader.read(captured_row) == reader.read(row)
            assert set(reader.routing) <= set(captured_row)

    def test_the_consent_column_only_when_it_is_mapped(self) -> None:
        name = "dbo.customer_contact.cc_marketing_opt_in"
        site = mapping(consent={"mode": "column", "column": "cc_marketing_opt_in"})
        assert matches(connector(site, "sqlserver", settings()), "column.include.list", name)
        assert not matches(connector(MAPPING, "sqlserver", settings()), "column.include.list", name)

    def test_a_column_that_is_mapped_twice_is_listed_once(self) -> None:
        site = mapping(contact={"full_name": "cc_last_name"})
        assert connector(site, "sqlserver", settings())["column.include.list"].count("cc_last_name") == 1

    def test_names_that_mean_something_in_patterns_are_taken_literally(self) -> None:
        site = mapping(order_header={"table": "order$header", "key": "oh$id"})
        config = connector(site, "sqlserver", settings())
        assert matches(config, "table.include.list", "dbo.order$header")
        assert matches(config, "column.include.list", "dbo.order$header.oh$id")
        assert not matches(config, "table.include.list", "dbo.order")
        assert r"dbo\.order\$header:oh\$id" in config["message.key.columns"].split(";")

    @BY_KIND
    def test_every_topic_is_keyed_by_the_mapped_key(self, kind: SourceKind) -> None:
        keys = dict(entry.rsplit(":", 1) for entry in connector(MAPPING, kind, settings())["message.key.columns"].split(";"))
        assert keys == {rf"dbo\.{section.table}": section.key for section in MAPPING.sections}

    def test_our_schema_cannot_be_the_erps(self) -> None:
        with pytest.raises(ConfigurationError, match="schema of this product's own tables"):
            connector(mapping(source={"schema": "OWDD"}), "sqlserver", settings())


class TestTopics:
    @BY_KIND
    def test_debezium_names_the_tables_topics_as_ingest_does(self, kind: SourceKind) -> None:
        prefix = connector(MAPPING, kind, settings())["topic.prefix"]
        middle = f"{MAPPING.source.database}." if kind == "sqlserver" else ""
        assert [f"{prefix}.{middle}dbo.{table}" for table in MAPPING.tables] == captured(MAPPING)
        assert CaptureNames.of(MAPPING, kind).heartbeat_rows == f"{prefix}.{middle}owdd.heartbeat"

    def test_what_kafka_does_not_allow_in_a_name_becomes_an_underscore(self) -> None:
        assert mapping(order_header={"table": "order$header"}).topic("order$header") == "ow.Orderwise.dbo.order_header"

    @BY_KIND
    def test_connect_would_make_them_as_we_do(self, kind: SourceKind) -> None:
        chosen = settings(partitions=6, replication=3)
        config, names = connector(MAPPING, kind, chosen), CaptureNames.of(MAPPING, kind)
        made_by_others = {names.signals, names.history}
        for spec in capture_specs(chosen, MAPPING, kind):
            if spec.name in made_by_others:
                continue
            group = "rows" if matches(config, "topic.creation.rows.include", spec.name) else "default"
            prefix = f"topic.creation.{group}."
            made = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
            made.pop("include", None)
            assert made.pop("partitions") == str(spec.partitions), spec.name
            assert made.pop("replication.factor") == str(spec.replication), spec.name
            assert made == spec.config, spec.name

    def test_only_topics_of_keyed_rows_are_compacted(self) -> None:
        compacted = [spec.name for spec in capture_specs(settings(), MAPPING) if spec.config["cleanup.policy"] == "compact"]
        assert compacted == captured(MAPPING)

    def test_the_schema_history_is_kept_for_ever_in_one_partition(self) -> None:
        history = next(spec for spec in capture_specs(settings(), MAPPING) if spec.name == "ow.schema-history")
        assert (history.partitions, history.config["retention.ms"]) == (1, "-1")

    @BY_KIND
    def test_all_names_are_the_sites(self, kind: SourceKind) -> None:
        config, names = connector(MAPPING, kind, settings()), CaptureNames.of(MAPPING, kind)
        assert config["signal.kafka.topic"] == names.signals
        assert config["notification.sink.topic.name"] == names.notifications
        if kind == "sqlserver":
            assert config["schema.history.internal.kafka.topic"] == names.history


class TestChoices:
    """Those whose opposite loses or changes data, or stops the ERP."""

    @BY_KIND
    def test_values_arrive_as_they_are_in_the_database(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings())
        assert (config["decimal.handling.mode"], config["time.precision.mode"]) == ("string", "isostring")
        for part in ("key", "value"):
            assert config[f"{part}.converter.replace.null.with.default"] == "false"
            assert config[f"{part}.converter.schemas.enable"] == "false"

    def test_reading_locks_nobody_out(self) -> None:
        config = connector(MAPPING, "sqlserver", settings())
        assert config["snapshot.isolation.mode"] == "snapshot"
        assert config["data.query.mode"] == "direct"

    @BY_KIND
    def test_a_dead_database_is_reported_within_minutes(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings())
        assert int(config["errors.max.retries"]) * int(config["retriable.restart.connector.wait.ms"]) <= 600_000
        assert config["event.processing.failure.handling.mode"] == "fail"

    def test_the_heartbeat_is_written_where_the_connection_does_not_matter(self) -> None:
        query = connector(MAPPING, "sqlserver", settings())["heartbeat.action.query"]
        assert query == "UPDATE [Orderwise].[owdd].[heartbeat] SET [beat] = SYSUTCDATETIME() WHERE [id] = 1"

    @BY_KIND
    def test_signals_come_from_the_table_and_from_kafka(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings())
        assert config["signal.enabled.channels"] == "source,kafka"
        assert config["signal.data.collection"] == ("Orderwise." if kind == "sqlserver" else "") + "owdd.signal"

    @pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
    def test_compression_is_the_products(self, compression: str) -> None:
        config = connector(MAPPING, "sqlserver", settings(compression=compression))
        assert config["producer.override.compression.type"] == compression

    def test_the_stand_in_publishes_the_captured_tables_only(self) -> None:
        config = connector(MAPPING, "postgres", settings())
        assert (config["plugin.name"], config["publication.autocreate.mode"]) == ("pgoutput", "filtered")
        assert re.fullmatch("[a-z0-9_]{1,63}", config["slot.name"])


class TestSecrets:
    @BY_KIND
    def test_a_password_is_a_reference_into_the_directory_of_passwords(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings(connect_credentials="/etc/owdd", source_truststore="/etc/pki/ca.p12"))
        secret = {key: value for key, value in config.items() if "password" in key.casefold()}
        assert secret["database.password"] == "${dir:/etc/owdd:owdd_source_password}"
        assert all(re.fullmatch(r"\$\{dir:/etc/owdd:owdd_[a-z_]+\}", value) for value in secret.values())

    @pytest.mark.parametrize(
        ("tls", "encrypt", "trust"), [("verify", "true", "false"), ("trust", "true", "true"), ("off", "false", "false")]
    )
    def test_the_servers_certificate_is_checked_unless_set_otherwise(self, tls: str, encrypt: str, trust: str) -> None:
        config = connector(MAPPING, "sqlserver", settings(source_tls=tls))
        assert (config["driver.encrypt"], config["driver.trustServerCertificate"]) == (encrypt, trust)

    def test_a_trust_store_is_named_only_where_there_is_one(self) -> None:
        without = connector(MAPPING, "sqlserver", settings())
        with_store = connector(MAPPING, "sqlserver", settings(source_truststore="/etc/pki/ca.p12"))
        assert set(with_store) - set(without) == {"driver.trustStore", "driver.trustStorePassword"}

    @pytest.mark.parametrize("value", ["$(x)", "o'hara", "a b", "x]", ""])
    def test_a_login_that_could_mean_something_in_sql_is_refused(self, value: str) -> None:
        with pytest.raises(ValueError, match="source_user"):
            Settings(source_user=value)


class TestForm:
    @BY_KIND
    def test_it_is_flat_text_in_a_fixed_order(self, kind: SourceKind) -> None:
        config = connector(MAPPING, kind, settings())
        assert list(config) == sorted(config)
        assert all(isinstance(value, str) and value for value in config.values())


class TestLargeColumns:
    def test_a_site_without_them_has_no_post_processor(self) -> None:
        assert not any("reselect" in value for value in connector(MAPPING, "sqlserver", settings()).values())

    @pytest.mark.parametrize("database", ["", "Orderwise."])
    def test_they_are_read_again_nulls_included(self, database: str) -> None:
        contact = MAPPING.contact.model_copy(update={"large": frozenset({"cc_email", "cc_name"})})
        config = connector(MAPPING.model_copy(update={"contact": contact}), "sqlserver", settings())
        assert config["post.processors"] == "large"
        assert config["large.reselect.null.values"] == config["large.reselect.unavailable.values"] == "true"
        assert config["large.reselect.error.handling.mode"] == "warn"
        assert not lint(config)
        for column, again in {"cc_email": True, "cc_name": True, "cc_first_name": False}.items():
            name = f"{database}dbo.customer_contact:{column}"
            assert matches(config, "large.reselect.columns.include.list", name) == again
