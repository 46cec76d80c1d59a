"""Configuration files of the embedded broker."""

import json
from pathlib import Path

from streams.runtime.ports import HOST

_SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
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

# After a SIGKILL the controller refuses the new broker until the session of the dead one ends: 9 s by default.
broker.heartbeat.interval.ms=300
broker.session.timeout.ms=2000

# About 600,000 keys in one pass, in an eighth of the memory of the default.
log.cleaner.dedupe.buffer.size=16777216
"""

LOG4J2_PROPERTIES = """\
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


def server_properties(storage: Path, port: int, controller_port: int) -> str:
    """``server.properties`` of a node that is broker and controller in one."""
    # Java reads the file as Latin-1, with JSON's escapes for all else.
    escaped = json.dumps(str(storage))[1:-1]
    return _SERVER_PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, storage=escaped)
