"""Prometheus' JMX exporter: an agent in a local JVM that shows its metrics, by the rules of ``connectors/jmx``."""

from testkit.local_services.jars import Progress, pom, resolve
from testkit.local_services.ports import HOST


def jmx_agent(program: str, port: int | None, progress: Progress) -> list[str]:
    """The JVM's option that shows the metrics of ``program`` (``kafka``, ``connect``) on a port of 127.0.0.1; None: nowhere.

    Raises:
        JarsUnavailable: the agent cannot be fetched.
    """
    if port is None:
        return []
    own = pom("jmx")
    (agent,) = resolve(own, progress).glob("*.jar")
    return [f"-javaagent:{agent}={HOST}:{port}:{own.parents[2] / 'jmx' / f'{program}.yml'}"]
