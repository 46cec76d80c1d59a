"""*Capture*: do changes of Orderwise arrive?"""

from typing import Final

from testkit.dashboards.board import Board, Panel, Query, Row, rate, rise

CAPTURE: Final = Board(
    uid="owdd-capture",
    title="Capture",
    description="Do changes of Orderwise arrive? The connector as the guard sees it, and the rows that ingest reads.",
    rows=(
        Row(
            "The connector",
            (
                Panel(
                    title="Age of the last heartbeat",
                    description=(
                        "row: through SQL Server's CDC. connector: its own. Only row is old: look at SQL Server Agent and its "
                        "capture job. Both: look at the connector."
                    ),
                    unit="s",
                    queries=(
                        Query("min by (connector, sign) (owdd_capture_heartbeat_age_seconds)", "{{connector}} {{sign}}"),
                        Query("min by (connector) (owdd_capture_offset_age_seconds)", "{{connector}} offset"),
                    ),
                    limits=(120,),
                    alert="OwddCaptureStalled",
                ),
                Panel(
                    title="Connector parts that run",
                    description=(
                        "1: runs. 0 for minutes: the guard has already tried restarts; owdd connectors status shows the reason."
                    ),
                    unit="none",
                    queries=(
                        Query("min by (connector, part) (owdd_connector_running)", "{{connector}} {{part}}"),
                        Query("min by (connector) (owdd_connect_up)", "{{connector}} Kafka Connect"),
                    ),
                    limits=(1,),
                    low_is_bad=True,
                    alert="OwddConnectorFailed",
                ),
                Panel(
                    title="Until changes are lost",
                    description=(
                        "If the connector stopped now: until CDC deletes what it has not read. Below a day: raise CDC's "
                        "retention first. Empty unless OWDD_RETENTION_PROBE is set."
                    ),
                    unit="s",
                    queries=(Query("min by (connector) (owdd_capture_retention_headroom_seconds)", "{{connector}}"),),
                    limits=(86_400,),
                    low_is_bad=True,
                    alert="OwddRetentionHeadroomLow",
                ),
                Panel(
                    title="Restarts by the guard",
                    description=(
                        "Of failed parts in an hour. Several in a row: owdd connectors status shows the error. At 1 under "
                        "given up, a person must act."
                    ),
                    unit="none",
                    queries=(
                        Query(rise("owdd_connector_restarts_total", "connector"), "{{connector}} restarts"),
                        Query("max by (connector) (owdd_connector_restarts_exhausted)", "{{connector}} given up"),
                    ),
                    alert="OwddConnectorRestartsExhausted",
                ),
                Panel(
                    title="Failed checks of the guard",
                    description="In an hour, by check. Rising: the panels beside show old values; is Kafka Connect up?",
                    unit="none",
                    queries=(Query(rise("owdd_capture_guard_failures_total", "connector", "what"), "{{connector}} {{what}}"),),
                    alert="OwddCaptureGuardBlind",
                ),
            ),
        ),
        Row(
            "Debezium, as it sees itself",
            (
                Panel(
                    title="Behind the database",
                    description=(
                        "Time between a commit and its processing. Minutes: a long transaction, or too little processor time. "
                        "Empty without the JMX exporter."
                    ),
                    unit="s",
                    queries=(
                        Query(
                            "max by (connector, context) (debezium_behind_source_seconds >= 0) or vector(0)",
                            "{{connector}} {{context}}",
                        ),
                        Query(
                            "max by (connector, context) (debezium_since_last_event_seconds)",
                            "{{connector}} {{context}} last event",
                        ),
                    ),
                    limits=(300,),
                    alert="OwddDebeziumBehind",
                ),
                Panel(
                    title="Free places in the queue",
                    description=(
                        "Between the connector and Kafka, of all. 0 for long: Kafka takes less than the database gives."
                    ),
                    unit="percentunit",
                    queries=(
                        Query(
                            "min by (connector, context) (debezium_queue_remaining_records / debezium_queue_capacity_records)",
                            "{{connector}} {{context}}",
                        ),
                    ),
                    limits=(0.05,),
                    low_is_bad=True,
                    alert="OwddDebeziumQueueFull",
                ),
                Panel(
                    title="Connected to the database",
                    description=(
                        "1: connected. 0 for minutes: database, login or network; owdd connectors status shows the error."
                    ),
                    unit="none",
                    queries=(Query("min by (connector) (debezium_connected)", "{{connector}}"),),
                    limits=(1,),
                    low_is_bad=True,
                    alert="OwddDebeziumDisconnected",
                ),
                Panel(
                    title="Events of the database",
                    description=(
                        "A second, and those that could not be processed. Errors above 0: Connect's log names table and cause."
                    ),
                    unit="ops",
                    queries=(
                        Query(
                            "sum by (connector, context) (rate(debezium_events_total[$__rate_interval]))",
                            "{{connector}} {{context}}",
                        ),
                        Query(
                            "sum by (connector) (rate(debezium_erroneous_events_total[$__rate_interval]))",
                            "{{connector}} errors",
                        ),
                    ),
                    alert="OwddDebeziumEventErrors",
                ),
                Panel(
                    title="Tables of a snapshot",
                    description=(
                        "All, and those still to be read. Level for hours: a large table, or a lock; look at the database."
                    ),
                    unit="none",
                    queries=(Query("max by (connector, which) (debezium_snapshot_tables)", "{{connector}} {{which}}"),),
                ),
                Panel(
                    title="State of the tasks, and of Kafka",
                    description="Tasks by state, and partitions without a leader. Offline above 0: a broker is down.",
                    unit="none",
                    queries=(
                        Query("sum by (status) (kafka_connect_task_status)", "{{status}}"),
                        Query("max(kafka_controller_offline_partitions) or vector(0)", "partitions offline"),
                    ),
                    alert="OwddKafkaPartitionsOffline",
                ),
            ),
        ),
        Row(
            "The rows",
            (
                Panel(
                    title="Captured records, by kind",
                    description=(
                        "A second. Zero in business hours: see the heartbeat, then SQL Server Agent. A surge of r: somebody "
                        "requested a snapshot."
                    ),
                    unit="ops",
                    queries=(Query(rate("owdd_records_total", "kind"), "{{kind}}"),),
                ),
                Panel(
                    title="Captured records, by topic",
                    description="A second. One table quiet that should not be: is it captured? owdd connectors status.",
                    unit="ops",
                    queries=(Query(rate("owdd_records_total", "topic"), "{{topic}}"),),
                ),
                Panel(
                    title="Mapped tables from which nothing came",
                    description=(
                        "Topics that have received no record while others have. The table is empty in Orderwise, is not "
                        "captured, or is spelt otherwise."
                    ),
                    unit="none",
                    queries=(
                        Query(
                            "count by (topic) ((max by (topic) (owdd_captured_records) == 0)"
                            " and on () (max(owdd_captured_records) > 0)) or vector(0)",
                            "{{topic}}",
                        ),
                    ),
                    alert="OwddCapturedTableEmpty",
                ),
                Panel(
                    title="Snapshot rows that replace nothing",
                    description=(
                        "In an hour. Many stale ones: positions in the log went back; read these tables again, see "
                        "capture.md, coming back."
                    ),
                    unit="none",
                    queries=(
                        Query(rise("owdd_stale_snapshot_rows_total", "stage"), "{{stage}} stale"),
                        Query(rise("owdd_unplaced_snapshot_rows_total", "topic"), "{{topic}} without a position"),
                    ),
                    alert="OwddSnapshotRowsStale",
                ),
            ),
        ),
    ),
)
