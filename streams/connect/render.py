"""The connector's configuration, rendered from the site's mapping, so that mapping and capture cannot drift apart.

The comments name the damage that Debezium's default would do. Source: the properties on the SQL Server and PostgreSQL pages of
Debezium 3.6. Secrets are references, which the Connect worker resolves by Kafka's DirectoryConfigProvider, named ``dir``.
"""

import re

from streams.connect.kafka_security import PREFIXES, client_security
from streams.connect.sql.names import qualified
from streams.core.errors import ConfigurationError
from streams.kafka.capture_topics import HEARTBEAT, OUR_TABLES, SCHEMA, SIGNAL, CaptureNames
from streams.kafka.topics import capture_specs, captured, change_topic
from streams.mapping import Mapping
from streams.settings import Settings, SourceKind

Config = dict[str, str]
"""A connector's flat configuration, as Kafka Connect takes it."""

CLASSES: dict[SourceKind, str] = {
    "sqlserver": "io.debezium.connector.sqlserver.SqlServerConnector",
    "postgres": "io.debezium.connector.postgresql.PostgresConnector",
}
"""The connector class of every kind of source."""

RESELECT = "large"
"""The name of the post-processor that reads large columns again, and the prefix of its keys."""

PASSWORD_FILE = "owdd_source_password"  # noqa: S105 - the name of a file
"""File with the password of the connector's login, in the directory of secrets that the Connect worker sees."""

TRUSTSTORE_PASSWORD_FILE = "owdd_source_truststore_password"  # noqa: S105 - the name of a file
"""File with the password of the trust store."""


def connector(mapping: Mapping, kind: SourceKind, settings: Settings) -> Config:
    """The configuration of the capture connector, sorted by key; the same input always gives the same text.

    Raises:
        ConfigurationError: the mapping's names cannot be captured together.
    """
    names = CaptureNames.of(mapping, kind)
    database = _sqlserver(mapping, names, settings) if kind == "sqlserver" else _postgres(mapping, names, settings)
    config = _connection(names, kind, settings) | database | _tables(mapping) | _VALUES | _FLOW | _signals(names, settings)
    config |= _topics(mapping, kind, settings) | _security(kind, settings) | _reselected(mapping)
    return dict(sorted(config.items()))


def _security(kind: SourceKind, settings: Settings) -> Config:
    security = client_security(settings, lambda file: _secret(settings, file))
    return {prefix + key: value for prefix in PREFIXES[kind] for key, value in security.items()}


def _connection(names: CaptureNames, kind: SourceKind, settings: Settings) -> Config:
    return {
        "connector.class": CLASSES[kind],
        "tasks.max": "1",
        # Offsets and schema history are stored under the prefix: it must never change (``plan.IDENTITY``).
        "topic.prefix": names.prefix,
        "database.hostname": settings.source_host,
        "database.port": str(settings.source_port),
        "database.user": settings.source_user,
        "database.password": _secret(settings, PASSWORD_FILE),
        # Not ``when_needed``: after a gap it would read everything again without a word, and the deletes in the gap stay lost.
        # With ``initial`` the task fails, and a person follows docs/operations.md.
        "snapshot.mode": "initial",
    }


def _sqlserver(mapping: Mapping, names: CaptureNames, settings: Settings) -> Config:
    config = {
        "database.names": mapping.source.database,
        "driver.applicationName": names.connector,
        "driver.encrypt": "false" if settings.source_tls == "off" else "true",
        "driver.trustServerCertificate": "true" if settings.source_tls == "trust" else "false",
        # The default, repeatable_read, blocks writers for as long as the snapshot takes.
        "snapshot.isolation.mode": "snapshot",
        # The default since 3.4, stated because ``function`` mode retries error 313 (the position was cleaned up) for ever.
        "data.query.mode": "direct",
        # Keeps the ERP's month-end transaction out of memory; 0, the default, reads it whole.
        "streaming.fetch.size": "10000",
        "max.iteration.transactions": "500",
        "heartbeat.action.query": (
            f"UPDATE {qualified(mapping.source.database, SCHEMA, HEARTBEAT)} SET [beat] = SYSUTCDATETIME() WHERE [id] = 1"
        ),
        "signal.data.collection": f"{mapping.source.database}.{SCHEMA}.{SIGNAL}",
        # The events in which an operator sees that somebody altered a captured table.
        "include.schema.changes": "true",
        "schema.history.internal.kafka.bootstrap.servers": settings.kafka_bootstrap,
        "schema.history.internal.kafka.topic": names.history,
        # An ERP has thousands of tables; the history of those that are not captured would slow every start.
        "schema.history.internal.store.only.captured.tables.ddl": "true",
    }
    if settings.source_truststore:
        config["driver.trustStore"] = settings.source_truststore
        config["driver.trustStorePassword"] = _secret(settings, TRUSTSTORE_PASSWORD_FILE)
    return config


_SSL_MODES = {"verify": "verify-full", "trust": "require", "off": "disable"}


def _postgres(mapping: Mapping, names: CaptureNames, settings: Settings) -> Config:
    # PostgreSQL allows only these characters in the name of a slot.
    slot = re.sub(r"[^a-z0-9_]", "_", names.connector)
    return {
        "database.dbname": mapping.source.database,
        "database.sslmode": _SSL_MODES[settings.source_tls],
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": slot,
        # By default the publication has all tables of the database, which needs a superuser.
        "publication.autocreate.mode": "filtered",
        "heartbeat.action.query": f"UPDATE {SCHEMA}.{HEARTBEAT} SET beat = now() AT TIME ZONE 'UTC' WHERE id = 1",
        "signal.data.collection": f"{SCHEMA}.{SIGNAL}",
    }


def _tables(mapping: Mapping) -> Config:
    """The tables and columns to read, and the key column of each topic."""
    schema = mapping.source.schema_
    columns = {(schema, table): names for table, names in mapping.columns.items()}
    if schema.casefold() == SCHEMA:
        raise ConfigurationError(f"source.schema is {schema!r}, which is the schema of this product's own tables")
    ours = {(SCHEMA, table): names for table, names in OUR_TABLES.items()}
    return {
        # Anchored by Debezium; the signal table is read without being listed, but its columns must be.
        "table.include.list": ",".join(_pattern(*table) for table in [*columns, (SCHEMA, HEARTBEAT)]),
        "column.include.list": ",".join(
            rf"{_pattern(*table)}\.({'|'.join(re.escape(name) for name in names)})" for table, names in (columns | ours).items()
        ),
        # The mapped key is the topic's key, also where the table has another primary key, or none.
        "message.key.columns": ";".join(f"{_pattern(*table)}:{re.escape(names[0])}" for table, names in columns.items()),
    }


def _reselected(mapping: Mapping) -> Config:
    """Large columns are read again from the table when a change has no value of them: CDC keeps none if they did not change.

    Nulls too: Debezium takes ``varchar(max)`` for an ordinary text, and writes null instead of its placeholder.
    """
    large = [
        rf"(?:.*\.)?{_pattern(mapping.source.schema_, table)}:{re.escape(column)}"
        for table, columns in mapping.large_columns.items()
        for column in sorted(columns)
    ]
    if not large:
        return {}
    return {
        "post.processors": RESELECT,
        f"{RESELECT}.type": "io.debezium.processors.reselect.ReselectColumnsPostProcessor",
        f"{RESELECT}.reselect.columns.include.list": ",".join(large),
        f"{RESELECT}.reselect.unavailable.values": "true",
        f"{RESELECT}.reselect.null.values": "true",
        # The mapped key is the event's key, and need not be the primary key.
        f"{RESELECT}.reselect.use.event.key": "true",
        # "fail" would stop the connector at every row that was deleted meanwhile. Without a value the change is a null in both
        # images, by which the stored value is kept.
        f"{RESELECT}.reselect.error.handling.mode": "warn",
    }


_VALUES: Config = {
    # Without a schema, decimals as bytes and times as numbers are ambiguous. The ERP's "end of time" (9999-12-31) would also
    # overflow the nanoseconds of datetime2, which stops the task.
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "tombstones.on.delete": "true",
    **{
        f"{part}.converter{key}": value
        for part in ("key", "value")
        for key, value in {
            "": "org.apache.kafka.connect.json.JsonConverter",
            ".schemas.enable": "false",
            # By default a NULL is replaced by the column's DEFAULT, a value that is not in the row.
            ".replace.null.with.default": "false",
        }.items()
    },
}

_FLOW: Config = {
    "event.processing.failure.handling.mode": "fail",
    # By default errors are retried without end while the connector is RUNNING, even if its login was removed. With 60 retries
    # of 10 s it is FAILED after ten minutes, and the guard reports it.
    "errors.max.retries": "60",
    "retriable.restart.connector.wait.ms": "10000",
    "max.batch.size": "2048",
    # Must be larger than the batch; the limit in bytes protects the worker's heap from wide rows.
    "max.queue.size": "8192",
    "max.queue.size.in.bytes": str(128 * 2**20),
    "poll.interval.ms": "500",
    # Without heartbeats the stored position of an idle database becomes older than the oldest change that CDC keeps.
    "heartbeat.interval.ms": "10000",
}


def _signals(names: CaptureNames, settings: Settings) -> Config:
    return {
        "signal.enabled.channels": "source,kafka",
        # The channel polls for assignments and messages in turn: at the default of 5 s the first signal takes 25 s to arrive.
        "signal.poll.interval.ms": "1000",
        "signal.kafka.topic": names.signals,
        "signal.kafka.bootstrap.servers": settings.kafka_bootstrap,
        # The default group is shared by all connectors of the cluster, which would take each other's signals.
        "signal.kafka.groupId": f"{names.connector}-signals",
        # Deletes the watermarks again; the default lets the signal table grow for ever.
        "incremental.snapshot.watermarking.strategy": "insert_delete",
        "notification.enabled.channels": "sink,log",
        "notification.sink.topic.name": names.notifications,
    }


def _topics(mapping: Mapping, kind: SourceKind, settings: Settings) -> Config:
    """Topics as ``owdd topics apply`` creates them, in case the connector creates them first.

    By default not compacted: brokers refuse records without a key on compacted topics.
    """
    rows = next(spec for spec in capture_specs(settings, mapping, kind) if spec.name in captured(mapping))
    groups = {"default": (1, change_topic(settings)), "rows": (rows.partitions, rows.config)}
    config = {
        "topic.creation.groups": "rows",
        "topic.creation.rows.include": ",".join(re.escape(topic) for topic in captured(mapping)),
        "producer.override.compression.type": settings.compression,
        "producer.override.max.request.size": str(settings.topic_max_bytes),
    }
    for group, (partitions, kept) in groups.items():
        group_config = {"partitions": str(partitions), "replication.factor": str(settings.replication), **kept}
        config |= {f"topic.creation.{group}.{key}": value for key, value in group_config.items()}
    return config


def _pattern(*parts: str) -> str:
    return r"\.".join(re.escape(part) for part in parts)


def _secret(settings: Settings, file: str) -> str:
    return f"${{dir:{settings.connect_credentials}:{file}}}"
