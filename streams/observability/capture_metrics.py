"""Metrics of what comes in: the connector as the capture guard sees it, and captured rows as ingest reads them.

The guard's metrics have a label each, so that a worker without a guard exports none of them.
"""

from streams.observability.definitions import CounterOf, GaugeOf


class CaptureMetrics:
    """Capture."""

    records = CounterOf(
        name="owdd_records_total", unit="records", labels=("topic", "kind"), meaning="Captured records read, by kind of event."
    )
    unplaced_rows = CounterOf(
        name="owdd_unplaced_snapshot_rows_total",
        unit="rows",
        labels=("topic",),
        meaning="Rows of a snapshot without a place in the log. They count as older than any change.",
        action="Beside owdd_stale_snapshot_rows_total: these tables must be read again.",
    )
    stale_snapshot_rows = CounterOf(
        name="owdd_stale_snapshot_rows_total",
        unit="rows",
        labels=("stage",),
        meaning="Rows of a snapshot skipped because the stored state is newer.",
        action="Many: positions in the log went back, see 'Coming back'.",
    )
    captured_records = GaugeOf(
        name="owdd_captured_records",
        unit="records",
        labels=("topic",),
        meaning="Records that a captured topic has received.",
        action="0 while others fill: its table is empty, or is not captured.",
    )
    dates_ignored = CounterOf(
        name="owdd_dates_ignored_total",
        unit="rows",
        labels=("table",),
        meaning="Dates that mean nothing, by table: before source.first_year, or too far in the future.",
        action="Many: look at the column.",
    )
    unknown_consent_words = CounterOf(
        name="owdd_unknown_consent_words_total",
        unit="rows",
        labels=("word",),
        meaning="Contact rows whose consent word the mapping does not know.",
        action="Above 0: add the word to opted_in or opted_out.",
    )
    connect_up = GaugeOf(
        name="owdd_connect_up",
        unit="flag",
        labels=("connector",),
        meaning="1 while Kafka Connect answers.",
        action="0: look at its worker.",
    )
    connector_running = GaugeOf(
        name="owdd_connector_running",
        unit="flag",
        labels=("connector", "part"),
        meaning="1 while the part runs.",
        action="0: 'owdd connectors status' shows the reason.",
    )
    connector_restarts = CounterOf(
        name="owdd_connector_restarts_total",
        unit="events",
        labels=("connector",),
        meaning="Restarts of failed parts by the guard.",
    )
    restarts_exhausted = GaugeOf(
        name="owdd_connector_restarts_exhausted",
        unit="flag",
        labels=("connector",),
        meaning="1 when restarts did not help and a person must act.",
        action="1: 'owdd connectors status', then 'restart'.",
    )
    heartbeat_age = GaugeOf(
        name="owdd_capture_heartbeat_age_seconds",
        unit="seconds",
        labels=("connector", "sign"),
        meaning="Age of the newest heartbeat, at least.",
        action="Only 'row' is old: CDC does not run, look at SQL Server Agent; 'connector' too: look at the connector.",
    )
    offset_age = GaugeOf(
        name="owdd_capture_offset_age_seconds",
        unit="seconds",
        labels=("connector",),
        meaning="Time since the connector's committed position last changed, at least.",
        action="Old: after a crash it would start far back.",
    )
    retention_headroom = GaugeOf(
        name="owdd_capture_retention_headroom_seconds",
        unit="seconds",
        labels=("connector",),
        meaning="Time until changes are deleted unread, if the connector stopped now.",
        action="Low: raise CDC's retention first.",
    )
    guard_failures = CounterOf(
        name="owdd_capture_guard_failures_total",
        unit="events",
        labels=("connector", "what"),
        meaning="Failed checks of the guard.",
        action="Rising: the metrics of the check are old.",
    )
