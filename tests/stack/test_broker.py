"""The stack's Kafka and Kafka Connect: their properties, as the images make them of variables, before Kafka's own judgement."""

import re
import subprocess
from pathlib import Path

from streams.settings import Settings
from testkit.local_services.jars import pom, resolve
from testkit.local_services.java import find_java
from testkit.local_services.properties import server_properties, worker_properties
from tests.stack.conftest import Service


def properties(service: Service, prefix: str) -> dict[str, str]:
    """What the image makes of ``<PREFIX>_A_B``: the property ``a.b``."""
    variables: dict[str, str] = service["environment"]
    return {
        name.removeprefix(prefix).lower().replace("_", "."): value
        for name, value in variables.items()
        if name.startswith(prefix)
    }


def test_kafka_formats_its_storage_with_the_stack_s_properties(services: dict[str, Service], tmp_path: Path) -> None:
    kafka = services["kafka"]
    assert kafka["volumes"][0]["target"] == kafka["environment"]["KAFKA_LOG_DIRS"]
    made = properties(kafka, "KAFKA_") | {"log.dirs": str(tmp_path / "storage")}
    del made["heap.opts"]
    # Kafka passes over a property that it does not know.
    known = re.findall(r"^([\w.]+)=", server_properties(tmp_path, 1, 2), re.MULTILINE)
    assert set(made) <= {*known, "controller.quorum.voters"}
    file = tmp_path / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in made.items()))
    java = find_java()
    jars = resolve(pom("broker"))
    cluster = kafka["environment"]["CLUSTER_ID"]
    tool = ["-XX:+UseSerialGC", "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "--cluster-id", cluster]
    done = subprocess.run([java.program, *tool, "--config", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    written = (tmp_path / "storage" / "meta.properties").read_text()
    assert re.search(f"^cluster.id={cluster}$", written, re.MULTILINE)


def test_connect_gets_the_properties_with_which_the_tests_run_it(services: dict[str, Service], tmp_path: Path) -> None:
    tested = worker_properties("kafka:9092", tmp_path, 8083, group="g", secrets=Path("/run/secrets"), identity="i")
    known = dict(re.findall(r"^([\w.]+)=(.*)$", tested, re.MULTILINE))
    given = properties(services["connect"], "CONNECT_")
    assert set(given) <= set(known)
    secrets = {name: value for name, value in given.items() if name.startswith("config.providers.")}
    assert secrets
    assert secrets == {name: known[name] for name in secrets}
    assert given["config.providers"] in known["config.providers"].split(",")
    assert Settings.model_fields["connect_credentials"].default == "/run/secrets"
