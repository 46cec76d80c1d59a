package io.debezium.connector.sqlserver;

import static io.debezium.connector.sqlserver.GoldenTables.CONTACT;
import static io.debezium.connector.sqlserver.GoldenTables.CUSTOMER;
import static io.debezium.connector.sqlserver.GoldenTables.DESPATCH;
import static io.debezium.connector.sqlserver.GoldenTables.DETAIL;
import static io.debezium.connector.sqlserver.GoldenTables.HEADER;
import static io.debezium.connector.sqlserver.GoldenTables.LINE;
import static io.debezium.connector.sqlserver.GoldenTables.STATUS;
import static io.debezium.connector.sqlserver.GoldenTables.TOTAL;
import static io.debezium.connector.sqlserver.GoldenTables.TRAPS;
import static io.debezium.connector.sqlserver.GoldenTables.TYPES;

import java.math.BigDecimal;
import java.sql.Date;
import java.sql.Timestamp;
import java.util.Map;

import io.debezium.connector.SnapshotRecord;
import io.debezium.relational.Table;
import io.debezium.schema.SchemaChangeEvent.SchemaChangeEventType;

import microsoft.sql.DateTimeOffset;

/** What happens in the source, and the name of each record that must come of it. Values are as the JDBC driver gives them. */
final class GoldenScenarios {

    /** What one scenario changes in the connector's configuration, and what it does. */
    record Scenario(Map<String, String> settings, Story story) {
    }

    interface Story {
        void tell(GoldenCapture capture, Names expect) throws InterruptedException;
    }

    /** Told which records a step has emitted. */
    interface Names {
        void emitted(String... names) throws InterruptedException;
    }

    private static final String COMMIT = "0000003a:000012f8:0004";
    private static final String CHANGE = "0000003a:000012f8:0002";
    private static final String NEXT_COMMIT = "0000003a:00001330:0006";
    private static final String NEXT_CHANGE = "0000003a:00001330:0003";
    private static final String SNAPSHOT = "0000002d:00000a40:0003";

    private static final Timestamp ORDERED = Timestamp.valueOf("2026-03-05 08:41:12.25");
    private static final Object[] OPEN = header(2);
    private static final Object[] SENT = header(5);

    static final Scenario[] ALL = {
            scenario(GoldenScenarios::rows), scenario(GoldenScenarios::changes), scenario(GoldenScenarios::keyChange),
            scenario(GoldenScenarios::snapshot), scenario(GoldenScenarios::snapshotBeforeCdc),
            scenario(GoldenScenarios::incrementalSnapshot), scenario(GoldenScenarios::schemaChange),
            scenario(GoldenScenarios::types), scenario(GoldenScenarios::endOfTime), scenario(GoldenScenarios::traps),
            new Scenario(Map.of("message.key.columns", "dbo.order_header:oh_order_number"), GoldenScenarios::messageKeyChange),
            new Scenario(Map.of("provide.transaction.metadata", "true"), GoldenScenarios::transaction),
            new Scenario(Map.of("heartbeat.interval.ms", "10000"), GoldenScenarios::heartbeat),
    };

    private GoldenScenarios() {
    }

    private static Scenario scenario(Story story) {
        return new Scenario(Map.of(), story);
    }

    private static Object[] header(int status) {
        return new Object[]{ 5, "SO10042", ORDERED, 7, 1, status };
    }

    private static Object[] detail(Object currency, Object instructions) {
        return new Object[]{ 50, 5, currency, "Ann@Bright.co.uk", null, instructions };
    }

    private static BigDecimal decimal(String text) {
        return new BigDecimal(text);
    }

    private static void rows(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, CUSTOMER, CONTACT, HEADER, DETAIL, TOTAL, LINE, DESPATCH, STATUS);
        capture.at(COMMIT, CHANGE);
        capture.insert(CUSTOMER, 7, "BRI001", "Bright Ltd", true, "accounts@bright.co.uk", null);
        capture.insert(CONTACT, 70, 7, "Zo\u00eb Lee \ud83d\udce6", "Zo\u00eb", "Lee \"L\"", "Ann@Bright.co.uk");
        capture.insert(HEADER, OPEN);
        capture.insert(DETAIL, detail(1, "Ring the bell"));
        capture.insert(TOTAL, 51, 5, decimal("-140.0000"));
        capture.insert(LINE, 52, 5, 900, 0, decimal("2.0000"), decimal("140.5000"));
        capture.insert(DESPATCH, 53, 5, ORDERED, "JD000000000053GB");
        capture.insert(STATUS, 2, "Awaiting Despatch ");
        expect.emitted("insert customer_detail", "insert customer_contact", "insert order_header", "insert order_header_detail",
                "insert order_header_total", "insert order_line_item", "insert delivery_header", "insert order_status");
        capture.insert(DETAIL, detail(null, null));
        expect.emitted("null with a default");
    }

    private static void changes(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, HEADER, DETAIL);
        capture.at(COMMIT, CHANGE).update(HEADER, OPEN, SENT);
        expect.emitted("update");
        Object[] unavailable = detail(1, SqlServerValueConverters.UNAVAILABLE_VALUE);
        capture.update(DETAIL, unavailable, unavailable);
        expect.emitted("update of a row whose text is unavailable");
        capture.at(NEXT_COMMIT, NEXT_CHANGE).delete(HEADER, SENT);
        expect.emitted("delete", "tombstone");
    }

    /** CDC itself makes a delete and an insert of it, which share both LSNs. */
    private static void keyChange(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, HEADER);
        Object[] renumbered = OPEN.clone();
        renumbered[0] = 6;
        capture.at(COMMIT, CHANGE).delete(HEADER, OPEN);
        capture.insert(HEADER, renumbered);
        expect.emitted("key change: delete", "key change: tombstone", "key change: insert");
    }

    /** Of one CDC update Debezium makes a delete and an insert, with headers. */
    private static void messageKeyChange(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, HEADER);
        Object[] renumbered = OPEN.clone();
        renumbered[1] = "SO10099";
        capture.at(COMMIT, CHANGE).update(HEADER, OPEN, renumbered);
        expect.emitted("message key change: delete", "message key change: tombstone", "message key change: insert");
    }

    private static void snapshot(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, STATUS, HEADER);
        capture.beginSnapshot(SNAPSHOT);
        capture.read(SnapshotRecord.FIRST, STATUS, 1, "On Hold");
        capture.read(SnapshotRecord.TRUE, STATUS, 2, "Awaiting Despatch");
        capture.read(SnapshotRecord.LAST_IN_DATA_COLLECTION, STATUS, 3, "Dispatched");
        capture.read(SnapshotRecord.FIRST_IN_DATA_COLLECTION, HEADER, OPEN);
        capture.read(SnapshotRecord.TRUE, HEADER, SENT);
        capture.completeSnapshot();
        expect.emitted("snapshot first", "snapshot true", "snapshot last_in_data_collection",
                "snapshot first_in_data_collection", "snapshot last");
    }

    private static void snapshotBeforeCdc(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, STATUS);
        capture.beginSnapshot("NULL");
        capture.read(SnapshotRecord.LAST, STATUS, 1, "On Hold");
        capture.completeSnapshot();
        expect.emitted("snapshot before the first commit");
    }

    private static void incrementalSnapshot(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, HEADER);
        capture.readIncrementally(HEADER, OPEN);
        expect.emitted("incremental snapshot before any change");
        capture.at(COMMIT, CHANGE).insert(HEADER, OPEN);
        capture.readIncrementally(HEADER, SENT);
        capture.insert(HEADER, SENT);
        expect.emitted("change before the incremental snapshot", "incremental snapshot", "change after the incremental snapshot");
    }

    private static void transaction(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, HEADER, TOTAL);
        capture.at(COMMIT, CHANGE).insert(HEADER, OPEN);
        capture.insert(TOTAL, 51, 5, decimal("140.0000"));
        capture.commit();
        expect.emitted("transaction begin", "first change of a transaction", "second change of a transaction", "transaction end");
    }

    private static void heartbeat(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, HEADER);
        capture.at(COMMIT, CHANGE).insert(HEADER, OPEN);
        expect.emitted("change before the heartbeat");
        capture.heartbeat();
        expect.emitted("heartbeat");
    }

    private static void schemaChange(GoldenCapture capture, Names expect) throws InterruptedException {
        capture.at(COMMIT, CHANGE).changeSchema(HEADER, SchemaChangeEventType.CREATE);
        expect.emitted("schema change: create");
        Table wider = HEADER.edit().addColumn(DESPATCH.columnWithName("dh_consignment_number")).create();
        capture.changeSchema(wider, SchemaChangeEventType.ALTER);
        expect.emitted("schema change: alter");
    }

    private static void types(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, TYPES);
        Object[] row = everyType();
        capture.at(COMMIT, CHANGE).insert(TYPES, row);
        expect.emitted("every type");
        Object[] empty = new Object[row.length];
        empty[0] = 2;
        capture.insert(TYPES, empty);
        expect.emitted("every type null");
        capture.insert(TYPES, extremes());
        expect.emitted("every type at its edge");
        Object[] unavailable = everyType();
        for (String max : new String[]{ "c_nvarchar_max", "c_xml", "c_varbinary_max" }) {
            unavailable[TYPES.columnWithName(max).position() - 1] = SqlServerValueConverters.UNAVAILABLE_VALUE;
        }
        capture.update(TYPES, unavailable, unavailable);
        expect.emitted("every type unavailable that can be");
    }

    /** The date that ERPs write for "never ends"; nanoseconds of it do not fit into 64 bits. */
    private static void endOfTime(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, TYPES);
        Object[] row = everyType();
        row[TYPES.columnWithName("c_datetime2_7").position() - 1] = Timestamp.valueOf("9999-12-31 00:00:00");
        capture.at(COMMIT, CHANGE).insert(TYPES, row);
        expect.emitted("end of time");
    }

    private static void traps(GoldenCapture capture, Names expect) throws InterruptedException {
        discover(capture, expect, TRAPS);
        Object[] first = { 1, decimal("12.50000000000000000000"), DateTimeOffset.valueOf(moment("10:15:30"), 0), "long text" };
        Object[] untouched = { 1, first[1], first[2], null };
        capture.at(COMMIT, CHANGE).insert(TRAPS, first);
        capture.update(TRAPS, untouched, untouched);
        capture.update(TRAPS, first, untouched);
        expect.emitted("traps", "update that leaves a large text alone", "update that clears a large text");
    }

    private static Object[] everyType() {
        return new Object[]{ 1, true, (short) 200, (short) -7, 42, 5000000123L, 4.323f, 0.1d, decimal("12.5000"),
                decimal("1249.375000"), decimal("42"), decimal("-99.9500"), decimal("0.2500"), "ab   ", "varchar", "\u00e9t   ",
                "Zo\u00eb \ud83d\udce6", "long text", "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "<a>b</a>",
                new byte[]{ 1, 2, -1 }, new byte[]{ 1, 2, -1 }, new byte[]{ 1, 2, -1 }, new byte[]{ 0, 0, 0, 0, 0, 0, 7, -47 },
                Date.valueOf("2026-02-28"), time("23:59:58"), time("23:59:58.123456"), time("23:59:58.1234567"),
                moment("10:15:30.997"), moment("10:16:00"), moment("10:15:30.123"), moment("10:15:30.123456"),
                moment("10:15:30.1234567"), DateTimeOffset.valueOf(moment("10:15:30.12"), 420), "said" };
    }

    private static Object[] extremes() {
        return new Object[]{ 3, false, (short) 255, Short.MIN_VALUE, Integer.MIN_VALUE, Long.MAX_VALUE, Float.MAX_VALUE,
                Double.MIN_VALUE, decimal("-99999999999999.9999"), decimal("0.000001"), decimal("9".repeat(38)),
                decimal("-922337203685477.5808"), decimal("214748.3647"), "     ", "", "", "\u0001\t", "", "", "", new byte[3],
                new byte[0], new byte[0], new byte[8], Date.valueOf("0001-01-01"), time("00:00:00"), time("00:00:00"),
                time("23:59:59.9999999"), Timestamp.valueOf("1753-01-01 00:00:00"), Timestamp.valueOf("2079-06-06 23:59:00"),
                Timestamp.valueOf("9999-12-31 23:59:59.999"), Timestamp.valueOf("0001-01-01 00:00:00"),
                Timestamp.valueOf("2262-04-11 23:47:16.8547758"), DateTimeOffset.valueOf(moment("00:00:00"), -840), null };
    }

    /** The connector asks the driver for a timestamp of a time. */
    private static Timestamp time(String time) {
        return Timestamp.valueOf("1900-01-01 " + time);
    }

    private static Timestamp moment(String time) {
        return Timestamp.valueOf("2026-02-28 " + time);
    }

    private static void discover(GoldenCapture capture, Names expect, Table... tables) throws InterruptedException {
        capture.discover(tables);
        capture.emitted();
    }
}
