"""Configuration files of the embedded broker and of the local Connect worker."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testkit.local_services.ports import HOST

_SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}{listening}
advertised.listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}{advertised}
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENT:{protocol}{protocols}
log.dirs={storage}

auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4

# Alone on its node, no member is worth waiting for, and tests want short sessions.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# A broker whose heartbeat is late is fenced: its partitions have no leader, and metadata answers leave its topics out.
broker.heartbeat.interval.ms={heartbeat_ms}
broker.session.timeout.ms={session_ms}

# Alone on its node, the controller need not write twice a second that nothing happened: no other node waits to see it.
metadata.max.idle.interval.ms=5000

# About 600,000 keys in one pass, in an eighth of the memory of the default.
log.cleaner.dedupe.buffer.size=16777216
"""

BROKER_SESSION_SECONDS = 30.0
"""How late a broker's heartbeat may be: alone on its node it is only ever late because the machine is busy."""

REVIVED_SESSION_SECONDS = 6.0
"""For a broker that is started again after a SIGKILL: the controller refuses it until the session of the dead one ends."""

_HEARTBEATS = 20
"""Of a broker in a session, however long that is: one every 300 ms would be a fifth of what an idle broker takes."""

IDENTITY_HEADER = "X-Owdd-Worker"
"""The header by which a Connect worker says which one it is."""

_WORKER_PROPERTIES = """\
bootstrap.servers={bootstrap}
group.id={group}
listeners=http://{host}:{port}
response.http.headers.config=set {header}: {identity}

plugin.path={plugins}
plugin.discovery=service_load

config.storage.topic={group}-configs
config.storage.replication.factor=1
offset.storage.topic={group}-offsets
offset.storage.replication.factor=1
offset.storage.partitions=1
status.storage.topic={group}-status
status.storage.replication.factor=1
status.storage.partitions=1

# A null stays null, rather than becoming the column's default.
key.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
key.converter.replace.null.with.default=false
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
value.converter.replace.null.with.default=false

# Connectors name secrets, and the worker reads them; nothing else is read for whoever reaches its REST API.
config.providers=file,dir,env
config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
config.providers.file.param.allowed.paths={secrets}
config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider
config.providers.dir.param.allowed.paths={secrets}
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.env.param.allowlist.pattern=OWDD_SOURCE_.*

# What was captured since the last flush is captured again after a crash.
offset.flush.interval.ms=1000

# Alone in its group: when it comes back after a crash, there is nobody to wait for.
scheduled.rebalance.max.delay.ms=0
session.timeout.ms=5000
heartbeat.interval.ms=1000
"""

_LOG4J2_PROPERTIES = """\
# Kafka says good-bye in a shutdown hook of its own, which Log4j's would silence.
shutdownHook=disable
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %-5p %m (%c{1})%n%throwable
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
# Prints every setting, seven times over, at each start.
logger.settings.name=org.apache.kafka.common.config.AbstractConfig
logger.settings.level=WARN
"""


def logging_option(directory: Path) -> str:
    """The JVM's option to log as we want it; what it names is written into ``directory``."""
    file = directory / "log4j2.properties"
    file.write_text(_LOG4J2_PROPERTIES)
    return f"-Dlog4j2.configurationFile={file.as_uri()}"


@dataclass(frozen=True, slots=True)
class Listener:
    """One more address of a broker: clients that come to ``port`` are sent on to ``advertised``, which a proxy listens on."""

    name: str
    port: int
    advertised: int


def server_properties(
    storage: Path,
    port: int,
    controller_port: int,
    listeners: Sequence[Listener] = (),
    protocol: str = "PLAINTEXT",
    more: Mapping[str, str] | None = None,
    session_seconds: float = BROKER_SESSION_SECONDS,
) -> str:
    """``server.properties`` of a node that is broker and controller in one; clients come to its port by ``protocol``."""
    text = _SERVER_PROPERTIES.format(
        host=HOST,
        port=port,
        protocol=protocol,
        controller_port=controller_port,
        storage=_escaped(storage),
        session_ms=round(session_seconds * 1000),
        heartbeat_ms=round(session_seconds * 1000 / _HEARTBEATS),
        listening="".join(f",{each.name}://{HOST}:{each.port}" for each in listeners),
        advertised="".join(f",{each.name}://{HOST}:{each.advertised}" for each in listeners),
        protocols="".join(f",{each.name}:PLAINTEXT" for each in listeners),
    )
    return text + "".join(f"{name}={value}\n" for name, value in (more or {}).items())


def worker_properties(bootstrap: str, plugins: Path, port: int, *, group: str, secrets: Path, identity: str) -> str:
    """``worker.properties`` of a Connect worker in distributed mode."""
    return _WORKER_PROPERTIES.format(
        bootstrap=bootstrap,
        group=group,
        host=HOST,
        port=port,
        header=IDENTITY_HEADER,
        identity=identity,
        plugins=_escaped(plugins),
        secrets=_escaped(secrets),
    )


def _escaped(path: Path) -> str:
    # Java reads the file as Latin-1, with JSON's escapes for all else.
    return json.dumps(str(path))[1:-1]
