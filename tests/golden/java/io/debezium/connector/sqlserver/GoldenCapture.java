package io.debezium.connector.sqlserver;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.kafka.connect.source.SourceRecord;

import io.debezium.config.CommonConnectorConfig;
import io.debezium.config.Configuration;
import io.debezium.connector.SnapshotRecord;
import io.debezium.connector.base.ChangeEventQueue;
import io.debezium.connector.base.DefaultQueueProvider;
import io.debezium.connector.base.QueueProvider;
import io.debezium.connector.common.DebeziumHeaderProducer;
import io.debezium.heartbeat.HeartbeatFactory;
import io.debezium.pipeline.DataChangeEvent;
import io.debezium.pipeline.EventDispatcher;
import io.debezium.pipeline.source.spi.DataChangeEventListener;
import io.debezium.relational.CustomConverterRegistry;
import io.debezium.relational.SnapshotChangeRecordEmitter;
import io.debezium.relational.Table;
import io.debezium.relational.TableId;
import io.debezium.schema.SchemaChangeEvent.SchemaChangeEventType;
import io.debezium.schema.SchemaNameAdjuster;
import io.debezium.spi.topic.TopicNamingStrategy;
import io.debezium.util.Clock;

/**
 * The SQL Server connector without a SQL Server: its classes are put together as {@link SqlServerConnectorTask} does, and
 * fed with the rows that its streaming and snapshot sources would have read. In their package, because some are not public.
 */
final class GoldenCapture implements AutoCloseable {

    static final Instant PROCESSED = Instant.parse("2026-03-05T08:41:13.190482117Z");

    private static final Instant COMMITTED = Instant.parse("2026-03-05T08:41:12.613Z");

    private static final Clock CLOCK = new Clock() {
        @Override
        public long currentTimeInMillis() {
            return PROCESSED.toEpochMilli();
        }

        @Override
        public Instant currentTimeAsInstant() {
            return PROCESSED;
        }
    };

    private final SqlServerConnectorConfig config;
    private final SqlServerPartition partition;
    private final ChangeEventQueue<DataChangeEvent> queue;
    private final SqlServerDatabaseSchema schema;
    private final EventDispatcher<SqlServerPartition, TableId> dispatcher;
    private TxLogPosition nextPosition;
    private SqlServerOffsetContext offset;
    private EventDispatcher.SnapshotReceiver<SqlServerPartition> snapshot;

    @SuppressWarnings("unchecked") // the topic names come as a raw type
    GoldenCapture(Configuration settings) {
        config = new SqlServerConnectorConfig(settings);
        partition = new SqlServerPartition(config.getLogicalName(), GoldenTables.DATABASE);
        SqlServerTaskContext task = new SqlServerTaskContext(settings, config);
        TopicNamingStrategy<TableId> topics = config.getTopicNamingStrategy(CommonConnectorConfig.TOPIC_NAMING_STRATEGY, true);
        SchemaNameAdjuster adjuster = config.schemaNameAdjuster();
        SqlServerValueConverters converters = new SqlServerValueConverters(config.getDecimalMode(),
                config.getTemporalPrecisionMode(), config.binaryHandlingMode(), config.getUnavailableValuePlaceholder());
        SqlServerDefaultValueConverter defaults = new SqlServerDefaultValueConverter(() -> {
            throw new UnsupportedOperationException("there is no database");
        }, converters);
        schema = new SqlServerDatabaseSchema(config, defaults, converters, topics, adjuster,
                new CustomConverterRegistry(List.of()), task);
        QueueProvider<DataChangeEvent> memory = new DefaultQueueProvider<>();
        memory.configure(Map.of(CommonConnectorConfig.MAX_QUEUE_SIZE.name(), "2048"));
        queue = new ChangeEventQueue.Builder<DataChangeEvent>().pollInterval(Duration.ofMillis(1)).maxBatchSize(1024)
                .maxQueueSize(2048).queueProvider(memory)
                .loggingContextSupplier(() -> task.configureLoggingContext("golden")).build();
        dispatcher = new EventDispatcher<>(config, topics, schema, queue, config.getTableFilters().dataCollectionFilter(),
                DataChangeEvent::new, new SqlServerEventMetadataProvider(),
                new HeartbeatFactory<>().getScheduledHeartbeat(config, null, null, queue), adjuster,
                new DebeziumHeaderProducer(task));
        offset = new SqlServerOffsetContext(config, TxLogPosition.valueOf(Lsn.NULL), null, true);
    }

    /** A capture instance comes to light. */
    void discover(Table... tables) throws InterruptedException {
        for (Table table : tables) {
            changeSchema(table, SchemaChangeEventType.CREATE);
        }
    }

    void changeSchema(Table table, SchemaChangeEventType type) throws InterruptedException {
        SqlServerChangeTable instance = new SqlServerChangeTable(table.id(), "dbo_" + table.id().table() + "_v1", 1,
                Lsn.valueOf("0000003a:00001000:0001"), table.retrieveColumnNames());
        offset.event(table.id(), COMMITTED);
        dispatcher.dispatchSchemaChangeEvent(partition, offset, table.id(),
                new SqlServerSchemaChangeEventEmitter(partition, offset, instance, table, schema, type));
    }

    /** The LSNs of the change that comes next; the streaming source counts an update as two CDC rows. */
    GoldenCapture at(String commitLsn, String changeLsn) {
        nextPosition = TxLogPosition.valueOf(Lsn.valueOf(commitLsn), Lsn.valueOf(changeLsn));
        return this;
    }

    void insert(Table table, Object... row) throws InterruptedException {
        stream(table, SqlServerChangeRecordEmitter.OP_INSERT, row, null, 1);
    }

    void update(Table table, Object[] before, Object[] after) throws InterruptedException {
        stream(table, SqlServerChangeRecordEmitter.OP_UPDATE_BEFORE, before, after, 2);
    }

    void delete(Table table, Object... row) throws InterruptedException {
        stream(table, SqlServerChangeRecordEmitter.OP_DELETE, row, null, 1);
    }

    @SuppressWarnings("unchecked") // the emitter extends a raw type
    private void stream(Table table, int operation, Object[] row, Object[] next, int rows) throws InterruptedException {
        offset.setChangePosition(nextPosition, rows);
        offset.event(table.id(), COMMITTED);
        dispatcher.dispatchDataChangeEvent(partition, table.id(),
                new SqlServerChangeRecordEmitter(partition, offset, operation, row, next, CLOCK, config));
    }

    void commit() throws InterruptedException {
        dispatcher.dispatchTransactionCommittedEvent(partition, offset, COMMITTED);
    }

    void heartbeat() throws InterruptedException {
        dispatcher.alwaysDispatchHeartbeatEvent(partition, offset);
    }

    /** An initial snapshot begins at CDC's newest LSN, which is null before its first commit. */
    void beginSnapshot(String maxLsn) {
        offset = new SqlServerOffsetContext(config, TxLogPosition.valueOf(Lsn.valueOf(maxLsn)), null, false);
        offset.preSnapshotStart(false);
        snapshot = dispatcher.getSnapshotChangeEventReceiver();
    }

    void read(SnapshotRecord marker, Table table, Object... row) throws InterruptedException {
        offset.markSnapshotRecord(marker);
        readWith(snapshot, table, row);
    }

    void completeSnapshot() throws InterruptedException {
        offset.preSnapshotCompletion();
        snapshot.completeSnapshot();
        offset.postSnapshotCompletion();
    }

    void readIncrementally(Table table, Object... row) throws InterruptedException {
        offset.incrementalSnapshotEvents();
        readWith(dispatcher.getIncrementalSnapshotChangeEventReceiver(DataChangeEventListener.NO_OP()), table, row);
        offset.postSnapshotCompletion();
    }

    private void readWith(EventDispatcher.SnapshotReceiver<SqlServerPartition> receiver, Table table, Object... row)
            throws InterruptedException {
        offset.event(table.id(), COMMITTED);
        dispatcher.dispatchSnapshotEvent(partition, table.id(),
                new SnapshotChangeRecordEmitter<>(partition, offset, row, CLOCK, config), receiver);
    }

    /** What was emitted since the last call. */
    List<SourceRecord> emitted() throws InterruptedException {
        List<SourceRecord> records = new ArrayList<>();
        for (DataChangeEvent event : queue.poll()) {
            records.add(event.getRecord());
        }
        return records;
    }

    @Override
    public void close() {
        // Otherwise the next one would wait for the names of this one's metrics.
        schema.close();
    }
}
