"""deploy/kubernetes, built by kustomize: valid by Kubernetes' schemas, and in step with image, settings, commands and Compose."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser
from pydantic import SecretStr
from starlette.routing import Route
from typer.testing import CliRunner

from streams.cli import app
from streams.connect.render import connector
from streams.mapping import load_mapping
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.settings import Settings
from tests.stack.conftest import ROOT, Service
from tests.stack.test_version import VERSION

Object = dict[str, Any]

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("managed", "strimzi")
VERSIONS = ("1.30", "1.33", "1.37")
OPERATORS = {"monitoring.coreos.com/v1", "kafka.strimzi.io/v1"}
"""Kinds that come with an operator; Kubernetes has no schema of them."""
WORKERS = {"ingest", "agents", "dispatch"}
JOBS = {"topics", "fields", "connectors"}
MAPPING = """\
namespace: owdd
resources: [../../overlays/managed]
configMapGenerator: [{name: owdd-mapping, files: [mapping.yaml]}]
components: [../../components/mapping]
"""


def build(program: Path, directory: Path) -> list[Object]:
    """What ``kubectl apply -k`` would send."""
    done = subprocess.run([program, "build", directory], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest, kustomize: Path) -> list[Object]:
    """Every object of an overlay."""
    return build(kustomize, KUBERNETES / "overlays" / request.param)


@pytest.fixture
def pods(objects: list[Object]) -> dict[str, Object]:
    """The pod template of each worker and job, by its name."""
    with_pods = [it for it in objects if it["kind"] in {"Deployment", "StatefulSet", "Job"}]
    return {it["metadata"]["name"]: it["spec"]["template"] for it in with_pods}


def container(pod: Object) -> Object:
    (only,) = pod["spec"]["containers"]
    found: Object = only
    return found


def settings_of(objects: list[Object]) -> dict[str, str]:
    (found,) = (
        it["data"] for it in objects if it["kind"] == "ConfigMap" and it["metadata"]["name"].startswith("owdd-settings")
    )
    return {key.removeprefix("OWDD_").lower(): value for key, value in found.items()}


def secrets_of(pod: Object) -> Iterator[tuple[str, str | None, str | None]]:
    """Secret, key and file of everything in a pod's secrets directory; key and file are None for a whole secret."""
    (sources,) = (volume["projected"]["sources"] for volume in pod["spec"]["volumes"] if volume["name"] == "secrets")
    for source in sources:
        items = source["secret"].get("items") or [{"key": None, "path": None}]
        yield from ((source["secret"]["name"], item["key"], item["path"]) for item in items)


class TestSchemas:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_every_object_is_one_that_kubernetes_takes(self, objects: list[Object], version: str) -> None:
        ours = [it for it in objects if it["apiVersion"] not in OPERATORS]
        assert len(ours) > 12
        for it in ours:
            kubernetes_validate.validate(it, version, strict=True)

    def test_a_misspelt_field_is_refused(self, objects: list[Object]) -> None:
        deployment = next(it for it in objects if it["kind"] == "Deployment")
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(deployment | {"spec": deployment["spec"] | {"replica": 2}}, VERSIONS[-1], strict=True)

    def test_a_site_s_mapping_reaches_every_pod_and_restarts_it(self, kustomize: Path, tmp_path: Path) -> None:
        tree = tmp_path / "kubernetes"
        subprocess.run(["cp", "-r", KUBERNETES, tree], check=True)
        site = tree / "overlays" / "site"
        site.mkdir()
        (site / "kustomization.yaml").write_text(MAPPING)
        names = []
        for text in ("one: 1\n", "two: 2\n"):
            (site / "mapping.yaml").write_text(text)
            built = build(kustomize, site)
            (name,) = (it["metadata"]["name"] for it in built if it["metadata"]["name"].startswith("owdd-mapping"))
            names.append(name)
            for it in built:
                if "template" in it.get("spec", {}):
                    pod = it["spec"]["template"]
                    assert {"name": "mapping", "configMap": {"name": name}} in pod["spec"]["volumes"]
                    (mount,) = (mount for mount in container(pod)["volumeMounts"] if mount["name"] == "mapping")
                    (variable,) = container(pod)["env"]
                    assert variable == {"name": "OWDD_MAPPING", "value": f"{mount['mountPath']}/mapping.yaml"}
        assert len(set(names)) == 2


class TestImage:
    def test_it_is_the_package_s_version_and_runs_as_the_image_s_user(self, pods: dict[str, Object]) -> None:
        dockerfile = DockerfileParser(path=str(ROOT / "Dockerfile"))
        users = {step["value"] for step in dockerfile.structure if step["instruction"] == "USER"}
        for pod in pods.values():
            assert container(pod)["image"] == f"owdd:{VERSION}"
            rights = pod["spec"]["securityContext"]
            assert {f"{rights['runAsUser']}:{rights['runAsGroup']}"} == users
            assert rights["fsGroup"] == rights["runAsGroup"]

    def test_no_pod_can_write_but_where_it_should_or_gain_rights(self, pods: dict[str, Object]) -> None:
        for name, pod in pods.items():
            rights = container(pod)["securityContext"]
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert not pod["spec"]["automountServiceAccountToken"]
            writable = {mount["mountPath"] for mount in container(pod)["volumeMounts"] if not mount.get("readOnly")}
            assert writable == ({"/tmp", "/var/lib/owdd"} if name in WORKERS else {"/tmp"})

    def test_every_mount_has_a_volume(self, objects: list[Object], pods: dict[str, Object]) -> None:
        claims = {
            it["metadata"]["name"]: {claim["metadata"]["name"] for claim in it["spec"]["volumeClaimTemplates"]}
            for it in objects
            if it["kind"] == "StatefulSet"
        }
        assert set(claims) == {"agents", "dispatch"}, "workers with state"
        for name, pod in pods.items():
            volumes = {volume["name"] for volume in pod["spec"]["volumes"]} | claims.get(name, set())
            assert {mount["name"] for mount in container(pod)["volumeMounts"]} == volumes


class TestSettings:
    def test_every_variable_is_a_setting_with_a_value_that_it_takes(self, objects: list[Object]) -> None:
        values = settings_of(objects)
        mounted = values.pop("secrets_dir")
        assert set(values) <= set(Settings.model_fields)
        settings = Settings.model_validate(values)
        assert settings.kafka_protocol == "SASL_SSL"
        assert settings.replication == 3
        assert settings.data_dir.is_relative_to("/var/lib/owdd")
        assert mounted == "/etc/owdd/secrets"

    def test_a_pod_gets_the_settings_and_the_secrets_that_it_needs(
        self, objects: list[Object], pods: dict[str, Object]
    ) -> None:
        configured = {it["metadata"]["name"] for it in objects if it["kind"] == "ConfigMap"}
        for name, pod in pods.items():
            assert {source["configMapRef"]["name"] for source in container(pod)["envFrom"]} <= configured
            secrets = list(secrets_of(pod))
            assert ("owdd-dotdigital" in {secret for secret, _, _ in secrets}) == (name in {"dispatch", "fields"})
            assert "owdd" in {secret for secret, _, _ in secrets}
            files = {path for _, _, path in secrets if path}
            assert files <= {f"owdd_{field}" for field in Settings.model_fields}

    def test_the_page_names_every_secret_that_the_site_makes_and_its_files(self, pods: dict[str, Object]) -> None:
        page = (ROOT / "docs" / "kubernetes.md").read_text()
        made_by_us = {secret for pod in pods.values() for secret, key, _ in secrets_of(pod) if key is None}
        assert made_by_us | {"owdd-source", "owdd-console"} == set(re.findall(r"^ *\| `(owdd[\w-]*)` \|", page, re.MULTILINE))
        secret = {f"owdd_{name}" for name, info in Settings.model_fields.items() if info.annotation is SecretStr}
        assert set(re.findall(r"`(owdd_\w+)`", page)) <= secret | {"owdd_source_password", "owdd_kafka_ca"}

    def test_secrets_and_state_are_mounted_where_the_settings_look_for_them(
        self, objects: list[Object], pods: dict[str, Object]
    ) -> None:
        settings = settings_of(objects)
        for name, pod in pods.items():
            mounts = {mount["name"]: mount["mountPath"] for mount in container(pod)["volumeMounts"]}
            assert mounts["secrets"] == settings["secrets_dir"]
            assert name in JOBS or Path(settings["data_dir"]).is_relative_to(mounts["state"])

    def test_pods_reach_kafka_and_those_who_ask_connect_reach_it(self, objects: list[Object], pods: dict[str, Object]) -> None:
        settings = settings_of(objects)
        kafka = int(settings["kafka_bootstrap"].rpartition(":")[2])
        connect = urlsplit(settings["connect_url"]).port
        policies = [it["spec"] for it in objects if it["kind"] == "NetworkPolicy"]
        for name, pod in pods.items():
            ours = [policy for policy in policies if selects(policy["podSelector"], pod["metadata"]["labels"])]
            rules = [rule for policy in ours for rule in policy.get("egress") or []]
            opened = {port["port"] for rule in rules for port in rule["ports"]}
            assert opened >= ({kafka, connect} if name in {"ingest", "connectors"} else {kafka}), name

    def test_dispatch_may_ask_every_worker(self, objects: list[Object], pods: dict[str, Object]) -> None:
        named = {place.partition(":")[0] for place in settings_of(objects)["workers"].split(",")}
        headless = {
            it["metadata"]["name"] for it in objects if it["kind"] == "Service" and it["spec"].get("clusterIP") == "None"
        }
        assert named == WORKERS <= headless
        labels = {name: pods[name]["metadata"]["labels"] for name in WORKERS}
        policies = [it["spec"] for it in objects if it["kind"] == "NetworkPolicy"]

        def opened(name: str, way: str, peers: str) -> set[str]:
            """The workers to or from which ``name`` has a way to the port of metrics."""
            rules = [rule for it in policies if selects(it["podSelector"], labels[name]) for rule in it.get(way) or []]
            chosen = [
                peer["podSelector"]
                for rule in rules
                if any(port["port"] == "metrics" for port in rule["ports"])
                for peer in rule.get(peers, [])
                if "podSelector" in peer
            ]
            return {other for other in WORKERS if any(selects(it, labels[other]) for it in chosen)}

        assert opened("dispatch", "egress", "to") == WORKERS
        assert all("dispatch" in opened(name, "ingress", "from") for name in WORKERS)

    def test_no_secret_is_in_a_setting(self, objects: list[Object]) -> None:
        secret = {name for name, info in Settings.model_fields.items() if info.annotation is SecretStr}
        assert not secret & set(settings_of(objects))

    def test_every_command_is_one_that_the_program_has(self, pods: dict[str, Object], services: dict[str, Service]) -> None:
        assert set(pods) == WORKERS | JOBS
        for name, pod in pods.items():
            done = CliRunner().invoke(app, [*container(pod)["args"], "--help"])
            assert done.exit_code == 0, f"{name}: {done.output}"
            assert container(pod)["args"] == services[name]["command"], "as in the Compose file"


class TestRunning:
    def test_probes_ask_pages_that_workers_have(self, pods: dict[str, Object]) -> None:
        pages = {route.path for route in Health(Metrics()).app().routes if isinstance(route, Route)}
        for name in WORKERS:
            for probe, page in (("startup", "live"), ("liveness", "live"), ("readiness", "ready")):
                asked = container(pods[name])[f"{probe}Probe"]["httpGet"]
                assert asked == {"path": f"/health/{page}", "port": "metrics"}
                assert asked["path"] in pages
            (port,) = container(pods[name])["ports"]
            assert port == {"name": "metrics", "containerPort": Settings.model_fields["metrics_port"].default}
            assert pods[name]["spec"]["terminationGracePeriodSeconds"] >= 10, "a worker stops within five seconds"

    def test_everything_that_selects_pods_finds_some(self, objects: list[Object], pods: dict[str, Object]) -> None:
        labels = [pod["metadata"]["labels"] for pod in pods.values()]
        selectors = [
            (it["kind"], it["metadata"]["name"], it["spec"].get("podSelector") or it["spec"].get("selector"))
            for it in objects
            if it["kind"] in {"NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service"}
        ]
        assert len(selectors) >= 11
        for kind, name, selector in selectors:
            chosen = [found for found in labels if selects(selector, found)]
            assert chosen, f"{kind} {name} selects no pod"

    def test_nobody_but_those_who_call_dotdigital_reaches_the_internet(
        self, objects: list[Object], pods: dict[str, Object]
    ) -> None:
        outside = [
            it["spec"]["podSelector"]
            for it in objects
            if it["kind"] == "NetworkPolicy"
            for rule in it["spec"].get("egress") or []
            if any("ipBlock" in peer for peer in rule.get("to", []))
        ]
        reaching = {name for name, pod in pods.items() if any(selects(it, pod["metadata"]["labels"]) for it in outside)}
        assert reaching == {"dispatch", "fields"}

    def test_the_waves_run_jobs_before_the_workers_and_the_connector_last(self, objects: list[Object]) -> None:
        wave = {
            it["metadata"]["name"]: int(it["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))
            for it in objects
            if it["kind"] in {"Job", "Deployment", "StatefulSet"}
        }
        assert max(wave["topics"], wave["fields"]) < min(wave[name] for name in WORKERS)
        assert max(wave[name] for name in WORKERS) < wave["connectors"]


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether ``selector`` matches ``labels``: the operators that the files use."""
    flat = selector.get("matchLabels")
    if flat is None and "matchExpressions" not in selector:
        flat = selector
    by_label = all(labels.get(key) == value for key, value in (flat or {}).items())
    expressions = selector.get("matchExpressions", [])
    assert {it["operator"] for it in expressions} <= {"In"}
    return by_label and all(labels.get(it["key"]) in it["values"] for it in expressions)


class TestConsole:
    @pytest.fixture(params=OVERLAYS)
    def built(self, request: pytest.FixtureRequest, kustomize: Path, tmp_path: Path) -> list[Object]:
        """An overlay with the console and a mapping."""
        tree = tmp_path / "kubernetes"
        subprocess.run(["cp", "-r", KUBERNETES, tree], check=True)
        site = tree / "overlays" / "site"
        site.mkdir()
        (site / "mapping.yaml").write_text("one: 1\n")
        text = MAPPING.replace("/managed", f"/{request.param}")
        (site / "kustomization.yaml").write_text(text.replace("/mapping]", "/console, ../../components/mapping]"))
        return build(kustomize, site)

    def test_it_is_confined_configured_and_found_like_the_workers(
        self, built: list[Object], services: dict[str, Service]
    ) -> None:
        (pod,) = (it["spec"]["template"] for it in built if (it["kind"], it["metadata"]["name"]) == ("Deployment", "console"))
        assert container(pod)["image"] == f"owdd:{VERSION}"
        assert container(pod)["args"] == services["console"]["command"]
        assert container(pod)["securityContext"]["readOnlyRootFilesystem"]
        assert container(pod)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {secret for secret, key, _ in secrets_of(pod) if key is None} == {"owdd", "owdd-console"}
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} == {it["name"] for it in pod["spec"]["volumes"]}
        settings = Settings.model_validate({key: value for key, value in settings_of(built).items() if key != "secrets_dir"})
        named = {place.partition(":")[0] for place in settings.workers.split(",")}
        headless = {it["metadata"]["name"] for it in built if it["kind"] == "Service" and it["spec"].get("clusterIP") == "None"}
        assert named == WORKERS <= headless
        (port,) = container(pod)["ports"]
        assert port["containerPort"] == settings.console_port

    def test_its_objects_are_valid_and_select_pods(self, built: list[Object]) -> None:
        with_pods = [it for it in built if it["kind"] in {"Deployment", "StatefulSet", "Job"}]
        labels = [it["spec"]["template"]["metadata"]["labels"] for it in with_pods]
        for it in built:
            if it["apiVersion"] not in OPERATORS:
                kubernetes_validate.validate(it, VERSIONS[0], strict=True)
            if it["kind"] in {"NetworkPolicy", "Service"}:
                selector = it["spec"].get("podSelector") or it["spec"].get("selector")
                assert any(selects(selector, found) for found in labels), it["metadata"]["name"]


class TestStrimzi:
    @pytest.fixture
    def theirs(self, kustomize: Path) -> dict[str, Object]:
        """Strimzi's objects by kind."""
        built = build(kustomize, KUBERNETES / "overlays" / "strimzi")
        return {it["kind"]: it for it in built if it["apiVersion"] == "kafka.strimzi.io/v1"} | {"all": {"objects": built}}

    def test_names_listeners_and_users_fit_the_settings(self, theirs: dict[str, Object]) -> None:
        settings = Settings.model_validate(
            {key: value for key, value in settings_of(theirs["all"]["objects"]).items() if key != "secrets_dir"}
        )
        (listener,) = theirs["Kafka"]["spec"]["kafka"]["listeners"]
        cluster = theirs["Kafka"]["metadata"]["name"]
        assert settings.kafka_bootstrap == f"{cluster}-kafka-bootstrap:{listener['port']}"
        assert theirs["KafkaConnect"]["spec"]["bootstrapServers"] == settings.kafka_bootstrap
        assert listener["authentication"]["type"] == settings.kafka_sasl_mechanism.lower()
        assert settings.kafka_user == theirs["KafkaUser"]["metadata"]["name"]
        assert settings.kafka_user == theirs["KafkaConnect"]["spec"]["authentication"]["username"]
        assert settings.connect_url == f"http://{theirs['KafkaConnect']['metadata']['name']}-connect-api:8083"
        assert theirs["Kafka"]["spec"]["kafka"]["config"]["message.max.bytes"] == settings.topic_max_bytes
        assert theirs["KafkaConnect"]["spec"]["config"]["producer.max.request.size"] == settings.topic_max_bytes

    def test_the_connector_finds_every_file_that_it_refers_to(self, theirs: dict[str, Object]) -> None:
        values = {key: value for key, value in settings_of(theirs["all"]["objects"]).items() if key != "secrets_dir"}
        settings = Settings.model_validate(values | {"kafka_ca": "/etc/owdd/secrets/owdd_kafka_ca", "kafka_password": "any"})
        config = connector(load_mapping(), "sqlserver", settings)
        references = set(re.findall(r"\$\{dir:([^:]+):(\w+)\}", " ".join(config.values())))
        paths = set(re.findall(r"/mnt/owdd/\w+", " ".join(config.values())))
        mounts = {
            mount["mountPath"] for mount in theirs["KafkaConnect"]["spec"]["template"]["connectContainer"]["volumeMounts"]
        }
        assert {f"{directory}/{name}" for directory, name in references} | paths == mounts
        allowed = theirs["KafkaConnect"]["spec"]["config"]["config.providers.dir.param.allowed.paths"]
        assert {directory for directory, _ in references} == {allowed}

    def test_the_plugin_is_the_version_that_the_tests_run(self, theirs: dict[str, Object]) -> None:
        text = (ROOT / "connectors" / "runtime" / "plugin-sqlserver" / "pom.xml").read_text()
        (plugin,) = theirs["KafkaConnect"]["spec"]["build"]["plugins"]
        (artifact,) = plugin["artifacts"]
        assert f"<debezium.version>{artifact['version']}</debezium.version>" in text
