"""``kafka-consumer-groups --describe``, as Kafka ships it."""

import subprocess
from pathlib import Path

from aiokafka import TopicPartition

from testkit.local_services.jars import resolve
from testkit.local_services.java import NO_OPTIMISING_COMPILER, find_java

_MAIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def lag_by_kafkas_tool(bootstrap: str, group: str) -> dict[TopicPartition, int]:
    """The lag of each partition in which the group has committed.

    Raises:
        subprocess.CalledProcessError: the tool failed.
    """
    jars = resolve(Path(__file__).with_name("pom.xml"))
    command: list[str | Path] = [find_java().program, NO_OPTIMISING_COMPILER, "-cp", f"{jars}/*", _MAIN]
    command += ["--bootstrap-server", bootstrap, "--describe", "--group", group]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in printed.splitlines() if line.strip()]
    heads = next(line for line in lines if "LAG" in line)
    rows = [dict(zip(heads, line, strict=False)) for line in lines if line[0] == group]
    return {TopicPartition(row["TOPIC"], int(row["PARTITION"])): int(row["LAG"]) for row in rows if row["LAG"] != "-"}
