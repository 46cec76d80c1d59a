"""The DBA's scripts are T-SQL that may be run again, name only what the mapping names, and can all be taken back."""

import re
from pathlib import Path

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from streams.connect.sql import SCRIPTS, script
from streams.connect.sql.enable import RETENTION_MINUTES
from streams.connect.sql.names import captured_tables, identifier, text
from streams.core.errors import ConfigurationError
from streams.kafka.capture_topics import OUR_TABLES
from tests.connect.connect_harness import MAPPING, mapping, settings
from tests.connect.tsql import batches, calls, every_statement, plain, statements, with_depth

EVERY = pytest.mark.parametrize("name", SCRIPTS)
TABLES = {("dbo", table): columns for table, columns in MAPPING.columns.items()}
TABLES |= {("owdd", table): columns for table, columns in OUR_TABLES.items()}
SITE = mapping(
    source={"database": "OW_Live", "schema": "sales"},
    order_header={"table": "order$header", "key": "oh#id"},
    consent={"mode": "column", "column": "cc_marketing_opt_in"},
)


def rendered(name: str) -> str:
    """A script for the default mapping."""
    return script(name, MAPPING, settings())


def texts(name: str) -> list[str]:
    """The statements of a script as text."""
    return [plain(statement) for statement in every_statement(rendered(name))]


class TestForm:
    @EVERY
    def test_every_statement_parses(self, name: str) -> None:
        assert len(list(statements(rendered(name)))) >= 3

    @EVERY
    def test_every_statement_parses_for_another_site(self, name: str) -> None:
        other = script(name, SITE, settings(source_user="svc_owdd"))
        assert len(list(every_statement(other))) >= len(texts(name))
        assert not re.search(r"\[dbo\]\.|Orderwise|owdd_capture", other)

    @EVERY
    def test_nothing_happens_in_another_database(self, name: str) -> None:
        first, guard = list(statements(rendered(name)))[:4:3]
        assert plain(first) == "USE [Orderwise]"
        assert plain(guard).startswith("IF DB_NAME() <> N'Orderwise' BEGIN RAISERROR")
        assert "SET NOEXEC ON" in plain(guard)
        assert plain(list(statements(rendered(name)))[-1]) == "SET NOEXEC OFF"

    @EVERY
    def test_it_says_who_runs_it_and_how(self, name: str) -> None:
        head = batches(rendered(name))[0]
        assert "-- Run by: " in head
        assert "sqlcmd -S <server> -E" in head
        assert f"-i {name}.sql" in head

    @EVERY
    def test_lines_can_be_read(self, name: str) -> None:
        assert max(map(len, rendered(name).splitlines())) <= 150


class TestNames:
    @pytest.mark.parametrize("name", ["", "a b", "a]b", "a'b", "1a", "a;b", "a.b", "ä", "a" * 129, "a\n", "$(x)", "a-b"])
    def test_what_is_no_regular_identifier_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="regular SQL Server identifier"):
            identifier(name)

    @given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_$#@]{0,127}", fullmatch=True))
    def test_an_identifier_stays_the_name_that_it_was(self, name: str) -> None:
        column = sqlglot.parse_one(f"SELECT {identifier(name)}", dialect="tsql").find(exp.Identifier)
        assert column is not None
        assert (column.this, column.quoted) == (name, True)

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
    def test_a_text_stays_the_text_that_it_was(self, value: str) -> None:
        found = sqlglot.parse_one(f"SELECT {text(value)}", dialect="tsql").find(exp.National)
        assert found is not None
        assert found.this == value

    def test_a_table_whose_capture_instance_would_be_too_long_is_refused(self) -> None:
        site = mapping(order_header={"table": "t" * 99})
        with pytest.raises(ConfigurationError, match="capture instance"):
            script("enable", site, settings())


class TestReading:
    @pytest.mark.parametrize("name", ["preflight", "discovery"])
    def test_it_changes_nothing_but_a_temporary_table(self, name: str) -> None:
        for statement in every_statement(rendered(name)):
            reads = isinstance(statement, exp.Select | exp.Union | exp.Use | exp.Set)
            published = isinstance(statement, exp.Anonymous) and statement.name.upper() == "RAISERROR"
            temporary = isinstance(statement, exp.Create | exp.Insert | exp.Drop) and re.search(
                "#(mapped|roles)", plain(statement)
            )
            assert reads or published or temporary, plain(statement)
            assert not (isinstance(statement, exp.Select) and statement.args.get("into")), plain(statement)

    def test_preflight_counts_the_words_of_the_mapped_consent_column(self) -> None:
        words = {"mode": "column", "column": "cc_opt", "opted_in": ["yes"], "opted_out": ["no", "don't"]}
        written = script("preflight", mapping(consent=words), settings())
        (found,) = [batch for batch in batches(written) if "consent word" in batch]
        assert "CAST([cc_opt] AS nvarchar(200))" in found and "FROM [dbo].[customer_contact]" in found
        assert "IN (N'yes') THEN N'ok: opted in'" in found and "IN (N'don''t', N'no') THEN N'ok: opted out'" in found
        assert "consent word" not in rendered("preflight")

    def test_discovery_asks_for_the_nulls_of_every_mapped_column(self) -> None:
        shares = [line for line in texts("discovery") if "null shares" in line]
        asked = {
            (table, column)
            for line in shares
            for table in MAPPING.tables
            if f"[dbo].[{table}] WITH" in line
            for column in re.findall(r"WHEN \[(\w+)\] IS NULL", line)
        }
        assert asked == {(table, column) for table, columns in MAPPING.columns.items() for column in columns}

    def test_discovery_shows_no_personal_column(self) -> None:
        personal = {"cc_email", "cc_first_name", "cc_last_name", "cc_name", "cd_statement_email", "ohd_delivery_email"}
        for statement in every_statement(rendered("discovery")):
            if isinstance(statement, exp.Select):
                shown = {plain(column) for column in statement.expressions if isinstance(column, exp.Column)}
                assert not shown & {f"[{name}]" for name in personal}


class TestEnable:
    def test_each_table_gets_its_first_instance_of_the_mapped_columns(self) -> None:
        found = {}
        for call in calls(rendered("enable"), "sp_cdc_enable_table"):
            found[call["source_schema"], call["source_name"]] = tuple(re.findall(r"\[(.+?)\]", call["captured_column_list"]))
            stem = call["source_name"] if call["source_schema"] == "dbo" else f"owdd_{call['source_name']}"
            assert call["capture_instance"] == f"{stem}_v1"
            assert (call["role_name"], call["filegroup_name"]) == ("owdd_reader", "OWDD_CDC")
            assert call["supports_net_changes"] == "0"
        assert found == TABLES

    def test_changes_are_kept_for_a_week(self) -> None:
        jobs = {call["job_type"]: call for call in calls(rendered("enable"), "sp_cdc_change_job")}
        assert jobs["cleanup"]["retention"] == str(7 * 24 * 60)
        assert (jobs["capture"]["pollinginterval"], jobs["capture"]["maxtrans"], jobs["capture"]["maxscans"]) == (
            "5",
            "500",
            "10",
        )

    def test_nothing_is_done_before_every_column_was_found(self) -> None:
        every = texts("enable")
        checked = next(index for index, line in enumerate(every) if "columns that are not here" in line)
        assert checked < next(index for index, line in enumerate(every) if "sp_cdc_enable_db" in line)
        inserted = next(line for line in every if line.startswith("INSERT INTO #mapped"))
        assert all(
            f"(N'[dbo].[{table}]', N'{column}')" in inserted for table, names in MAPPING.columns.items() for column in names
        )

    def test_the_file_of_the_change_tables_stands_in_the_servers_own_directory(self) -> None:
        found = re.search(
            r"@add nvarchar\(max\) = (N'.+')\n +\+ REPLACE\(@folder \+ DB_NAME\(\), N'{4}, N'{6}\)\n +\+ (N'.+');",
            rendered("enable"),
        )
        assert found is not None
        head, tail = (part[2:-1].replace("''", "'") for part in found.groups())
        assert head + r"E:\Data\Orderwise" + tail == (
            r"ALTER DATABASE [Orderwise] ADD FILE (NAME = owdd_cdc, FILENAME = 'E:\Data\Orderwise_owdd_cdc.ndf', "
            "SIZE = 256MB, FILEGROWTH = 256MB) TO FILEGROUP [OWDD_CDC]"
        )

    def test_our_tables_have_the_columns_that_the_connector_expects(self) -> None:
        made = [statement for statement in every_statement(rendered("enable")) if isinstance(statement, exp.Create)]
        columns = {create.this.this.name: tuple(column.name for column in create.find_all(exp.ColumnDef)) for create in made}
        assert {name: found for name, found in columns.items() if name in OUR_TABLES} == OUR_TABLES

    @pytest.mark.parametrize("name", ["enable", "login", "rotate", "disable"])
    def test_what_cannot_be_done_twice_is_done_only_when_needed(self, name: str) -> None:
        repeatable = re.compile(
            r"USE |SET |SELECT |DECLARE |GRANT |UPDATE \[owdd\]\.\[heartbeat\] |ALTER (?:ROLE|USER) |DROP \w+ IF EXISTS |INSERT INTO #mapped"
            r"|CREATE TABLE #mapped|EXECUTE sys\.sp_cdc_help_"
        )
        free = [plain(statement) for depth, statement in with_depth(rendered(name)) if depth == 0]
        assert free
        assert [line for line in free if not repeatable.match(line)] == []


class TestLogin:
    """It may read what is captured, beat, and signal. Every grant is listed here; there is no other."""

    GRANTS = (
        {("SELECT", f"[dbo].[{table}]", "owdd_reader") for table in MAPPING.tables}
        | {(right, "[owdd].[heartbeat]", "owdd_reader") for right in ("SELECT", "UPDATE")}
        | {(right, "[owdd].[signal]", "owdd_reader") for right in ("SELECT", "INSERT", "DELETE")}
        | {("SELECT", "SCHEMA::[cdc]", "owdd_reader")}
        | {("VIEW DATABASE STATE", "", "owdd_reader"), ("VIEW SERVER STATE", "", "owdd_capture")}
    )

    @staticmethod
    def granted(login: str) -> set[tuple[str, str, str]]:
        """Right, securable and principal of every grant, read from the text of the script rather than from what sqlglot found."""
        found = set()
        for rights, securable, principal in re.findall(r"\bGRANT\s+(.+?)(?:\s+ON\s+(\S+))?\s+TO\s+\[(\w+)\]", login):
            found |= {(right.strip(), securable, principal) for right in rights.split(",")}
        return found

    def test_it_grants_what_capture_needs_and_nothing_beyond(self) -> None:
        assert self.granted(rendered("login")) == self.GRANTS

    def test_no_grant_hides_from_that_list(self) -> None:
        code = re.sub(r"--.*", "", rendered("login"))
        grants = [plain(found) for found in every_statement(rendered("login")) if plain(found).startswith("GRANT")]
        assert len(re.findall(r"\bGRANT\b", code, re.IGNORECASE)) == len(grants) == len(self.GRANTS) - 1
        assert not re.search(r"WITH\s+GRANT|\bEXEC\b|sp_addrolemember|sp_addsrvrolemember|AUTHORIZATION", code, re.IGNORECASE)

    def test_the_only_role_is_the_gating_role(self) -> None:
        roles = [line for line in texts("login") if "ROLE" in line]
        assert roles == ["ALTER ROLE [owdd_reader] ADD MEMBER [owdd_capture]"]

    def test_the_role_has_no_rights_from_elsewhere(self) -> None:
        for name in ("enable", "rotate", "discovery", "preflight"):
            assert not re.search(r"\bGRANT\b|ADD MEMBER", rendered(name)), name

    @EVERY
    def test_no_script_has_a_password(self, name: str) -> None:
        given_words = re.findall(r"PASSWORD\s*=\s*(\S+?),", rendered(name))
        assert given_words == (["N'$(OWDD_SOURCE_PASSWORD)'"] if name == "login" else [])

    def test_without_a_password_nothing_is_done(self) -> None:
        guard = next(line for line in map(plain, statements(rendered("login"))) if "OWDD_SOURCE_PASSWORD" in line)
        assert guard.startswith("IF LEN(N'$(OWDD_SOURCE_PASSWORD)') < 12 OR N'$(OWDD_SOURCE_PASSWORD)' = N'$' + N'(OWDD_")
        assert "SET NOEXEC ON" in guard


class TestRotate:
    def test_all_tables_get_the_columns_of_the_mapping(self) -> None:
        begun = calls(rendered("rotate"), "sp_cdc_enable_table")
        found = {
            (call["source_schema"], call["source_name"]): tuple(re.findall(r"\[(.+?)\]", call["captured_column_list"]))
            for call in begun
        }
        assert found == TABLES

    def test_one_table_alone(self) -> None:
        narrowed = script("rotate", MAPPING, settings(), ["order_header"])
        assert {call["source_name"] for call in calls(narrowed, "sp_cdc_enable_table")} == {"order_header"}
        assert {call["source_name"] for call in calls(narrowed, "sp_cdc_disable_table")} == {"order_header"}

    def test_the_new_instance_is_made_and_the_old_one_dropped_in_separate_runs(self) -> None:
        narrowed = script("rotate", MAPPING, settings(), ["order_header"])
        steps = dict(re.findall(r"^IF N'\$\(OWDD_ROTATE\)' = (.+)\nBEGIN\n((?:    .*\n)+)END;$", narrowed, re.MULTILINE))
        assert {step: re.findall(r"sp_cdc_\w+", body) for step, body in steps.items()} == {
            "N'begin' AND @instances < 2": ["sp_cdc_enable_table"],
            "N'finish' AND @instances = 2": ["sp_cdc_disable_table"],
        }

    @pytest.mark.parametrize(
        "instance", ["order_header_v1", "order_header_v12", "order_header_detail_v1", "order_header", "orderXheader_v1"]
    )
    def test_it_finds_its_own_instances_only(self, instance: str) -> None:
        table = next(table for table in captured_tables(MAPPING) if table.table == "order_header")
        like = re.search(r"LIKE N'(.+)'", table.instances)
        assert like is not None
        pattern = re.escape(like[1]).replace(r"\[_\]", "_").replace(r"\[0\-9\]", "[0-9]").replace("%", ".*")
        assert bool(re.fullmatch(pattern, instance)) == bool(re.fullmatch(r"order_header_v[0-9]+", instance))

    def test_a_table_that_is_not_captured_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"\['user_detail'\] are not in the mapping"):
            script("rotate", MAPPING, settings(), ["order_header", "user_detail"])

    def test_other_scripts_are_for_all_tables(self) -> None:
        with pytest.raises(ConfigurationError, match="only rotate"):
            script("enable", MAPPING, settings(), ["order_header"])

    def test_there_are_no_other_scripts(self) -> None:
        with pytest.raises(ConfigurationError, match="there are discovery, preflight"):
            script("drop", MAPPING, settings())


class TestDisable:
    def test_everything_that_was_made_is_taken_away(self) -> None:
        made = set()
        for name in ("enable", "login"):
            made |= set(
                re.findall(r"(?:CREATE|ADD) (TABLE|SCHEMA|ROLE|USER|LOGIN|FILEGROUP) (\[[^ ]+\])", "\n".join(texts(name)))
            )
        gone = set(
            re.findall(
                r"(?:DROP|REMOVE) (TABLE|SCHEMA|ROLE|USER|LOGIN|FILEGROUP) (?:IF EXISTS )?(\[[^ ]+\])",
                "\n".join(texts("disable")),
            )
        )
        assert made == gone
        assert len(made) == 7

    def test_our_instances_go_and_those_of_others_stay(self) -> None:
        dropped = calls(rendered("disable"), "sp_cdc_disable_table")
        assert {(call["source_schema"], call["source_name"]) for call in dropped} == set(TABLES)
        assert [call["capture_instance"] for call in dropped] == ["first", "last"] * len(TABLES)

    def test_the_database_keeps_cdc_while_others_use_it(self) -> None:
        last = next(line for line in map(plain, statements(rendered("disable"))) if "sp_cdc_disable_db" in line)
        assert "IF NOT EXISTS(SELECT 1 FROM cdc.change_tables) BEGIN EXECUTE sys.sp_cdc_disable_db" in last


class TestHandbook:
    PAGE = (Path(__file__).parents[2] / "docs" / "capture.md").read_text("utf-8")

    def test_it_lists_for_the_dba_every_right_of_the_connector(self) -> None:
        table = self.PAGE.split("### The connector's rights")[1].split("\n\n")[0]
        published = {
            place.replace("`", ""): set(re.findall(r"`([A-Z ]+)`", rights))
            for place, rights in re.findall(r"^\| (.+?) \| (.+?) \|", table, re.M)
        }
        granted: dict[str, set[str]] = {}
        for right, securable, _ in TestLogin.GRANTS:
            place = right.split()[1].lower() if right.startswith("VIEW") else re.sub(r"[\[\]]", "", securable)
            place = "the mapped tables" if place.startswith("dbo.") else place.replace("SCHEMA::", "schema ")
            granted.setdefault(place, set()).add(right)
        assert {place: rights for place, rights in published.items() if rights} == granted

    def test_it_names_every_script_and_the_numbers_in_them(self) -> None:
        assert {name for name in SCRIPTS if f"`{name}.sql`" not in self.PAGE} == set()
        assert f"keeps changes: {RETENTION_MINUTES // 1440} days" in self.PAGE


class TestTypes:
    def test_preflight_knows_what_the_mapping_says_of_every_column(self) -> None:
        header = MAPPING.order.header.model_copy(update={"zoned": frozenset({"oh_datetime"})})
        contact = MAPPING.contact.model_copy(update={"large": frozenset({"cc_email"})})
        site = MAPPING.model_copy(update={"contact": contact, "order": MAPPING.order.model_copy(update={"header": header})})
        written = script("preflight", site, settings())
        assert "(N'[dbo].[customer_contact]', N'cc_email', N'address', 1, 0)" in written
        assert "(N'[dbo].[customer_contact]', N'cc_id', N'key', 0, 0)" in written
        assert "(N'[dbo].[order_header]', N'oh_datetime', N'value', 0, 1)" in written

    def test_a_partition_may_not_be_switched_unseen(self) -> None:
        enabled = calls(rendered("enable"), "sp_cdc_enable_table")
        assert enabled
        assert all(call["allow_partition_switch"] == "0" for call in enabled)

    @pytest.mark.parametrize("name", ["preflight", "enable"])
    def test_a_text_that_would_make_the_erps_write_fail_stops(self, name: str) -> None:
        assert "max text repl size" in rendered(name)

    def test_cdc_has_a_commit_before_the_connector_starts(self) -> None:
        assert "fn_cdc_get_max_lsn() IS NULL" in rendered("preflight")
        beats = [number for number, text in enumerate(texts("enable")) if text.startswith("UPDATE [owdd].[heartbeat]")]
        instances = [number for number, text in enumerate(texts("enable")) if "sp_cdc_enable_table" in text]
        assert max(beats) > max(instances)
