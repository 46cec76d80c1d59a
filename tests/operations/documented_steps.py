"""A site's day made of the commands that the pages name: in which order, what stands for their placeholders, how each ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.cli.exit_codes import ExitCode

OK, CHANGES, INVALID, REFUSED = ExitCode.OK, ExitCode.CHANGES, ExitCode.INVALID, ExitCode.REFUSED


@dataclass(frozen=True, slots=True)
class Step:
    """One command as a page has it.

    Attributes:
        codes: with one of these it ends.
        prints: what it prints then, among other things; a placeholder is filled.
        given: what stands for a placeholder here, and not in other steps.
    """

    command: str
    codes: tuple[ExitCode, ...] = (OK,)
    prints: str = ""
    given: Mapping[str, str] = field(default_factory=dict)


BEFORE = (
    Step("owdd config show", prints="OWDD_KAFKA_BOOTSTRAP"),
    Step("owdd config schema", prints="house_accounts"),
    Step("owdd topics apply"),
    Step("owdd topics apply --execute"),
    Step("owdd dotdigital plan"),
    Step("owdd dotdigital apply"),
    Step("owdd dotdigital apply --execute"),
    Step("owdd dotdigital codes", prints="deleted_in_dotdigital"),
    Step("owdd connectors render", prints="column.include.list"),
    Step("owdd connectors sql", prints="preflight.sql"),
    Step("owdd connectors sql --out DIRECTORY", given={"DIRECTORY": "sql"}),
    Step("owdd connectors sql --script rotate --table order_header", prints="order_header"),
    Step("owdd connectors plan", (CHANGES,), prints="topic.prefix"),
    Step("owdd connectors apply", (CHANGES,)),
    Step("owdd connectors apply --execute", prints="RUNNING"),
)
"""No worker runs, and nothing is captured yet."""

RUNNING = (
    Step("owdd connectors status", prints="RUNNING"),
    Step("owdd status", (OK, CHANGES), prints="ingest"),
    Step("owdd lag"),
    Step("owdd doctor", (OK, CHANGES)),
    Step("owdd contact show EMAIL", prints="EMAIL"),
    Step("owdd contact show EMAIL --live"),
    Step("owdd contact why EMAIL"),
    Step("owdd contact history EMAIL"),
    Step("owdd state check"),
    Step("owdd state held"),
    Step("owdd state held --frozen"),
    Step("owdd person export ann@example.com --file ann.json"),
    Step("owdd audit --html audit.html --csv rows.csv", (OK, CHANGES)),
    Step("owdd audit --html report.html", (OK, CHANGES)),
    Step("owdd dlq list", prints="CODE"),
    Step("owdd dlq list --code unreadable_address", (INVALID,), prints="no entry has this code"),
    Step("owdd dlq list --key KEY"),
    Step("owdd dlq list --kind delivery"),
    Step("owdd dlq list --stage ingest", prints="CODE"),
    Step("owdd dlq list --stage outbox"),
    Step("owdd dlq show PLACE", prints="CODE"),
    Step("owdd dlq retry", (CHANGES,)),
    Step("owdd dlq retry --kind delivery --execute"),
    Step("owdd dlq retry --stage outbox --execute"),
    Step("owdd dlq retry --code CODE --execute", prints="retry: 1 of 1"),
    Step("owdd dlq retry --stage ingest --execute"),
    Step("owdd dlq retry --execute"),
    Step("owdd replay records --order 4711", (CHANGES,)),
    Step("owdd replay records --email ann@example.com --execute"),
    Step("owdd replay records --table order_header --since 2026-11-01 --until 2026-11-02 --rate 200 --execute"),
    Step("owdd replay records --dead-letters --code bad_time --execute"),
    Step("owdd replay records --dead-letters --execute"),
    Step("owdd dlq drop --stage ingest --code CODE --until TIME --execute"),
    Step("owdd dlq drop --stage ingest --until TIME --execute"),
    Step("owdd dlq drop --code CODE --execute"),
    Step("owdd connectors pause --execute"),
    Step("owdd connectors resume --execute"),
    Step("owdd connectors restart --execute"),
    Step("owdd connectors snapshot TABLE --execute"),
    Step("owdd connectors snapshot TABLE… --execute"),
    Step('owdd connectors snapshot order_header --where "oh_id > 1000" --execute'),
    # One captured row was made up by the test: whether it is missed depends on how far the snapshot above is.
    Step("owdd reconcile --rows", (OK, CHANGES), prints="order_header"),
    Step("owdd reconcile --rows --execute", prints="order_header"),
    Step("owdd connectors pause --stop --execute"),
    Step("owdd connectors offsets --save FILE", given={"FILE": "offsets.json"}),
    Step("owdd connectors offsets --delete --execute"),
    Step("owdd pause", prints="paused"),
    Step("owdd pause --show", prints="paused"),
    Step("owdd pause --everything"),
    Step("owdd pause --help", prints="opt-outs"),
    Step("owdd resume"),
    Step("owdd removals show"),
    Step("owdd removals release contacts --execute"),
    Step("owdd removals release"),
    Step("owdd removals release --execute"),
    Step("owdd removals discard contacts --execute"),
    Step("owdd removals discard --execute"),
    Step("owdd erase --email ann@example.com", (CHANGES,)),
    Step("owdd erase --email-file FILE --execute"),
    Step("owdd erase --email-file - --execute --wait --receipt r.json --operator dpo"),
    Step("owdd keys status"),
    Step("owdd keys rotate --execute"),
    Step("owdd trail show --by kim --since 2026-11-01"),
    Step("owdd trail show"),
    Step("owdd trail verify"),
    Step("owdd trail verify --json", prints='"'),
    Step("owdd trail checkpoint", (CHANGES,)),
    Step("owdd trail checkpoint --execute"),
    Step("owdd trail checkpoint --accept-problems --execute"),
    Step("owdd trail checkpoint --older-than 1825d --execute"),
    Step("owdd backup write /backups/2026-11-30"),
    Step("owdd backup verify /backups/2026-11-30"),
    Step("owdd backup write DIRECTORY", given={"DIRECTORY": "another-backup"}),
    Step("owdd backup verify DIRECTORY", given={"DIRECTORY": "another-backup"}),
    Step("owdd topics clear --execute", (REFUSED,), "run"),
)
"""Workers run, the shop has been captured and delivered, and one record cannot be read."""

REPLAYING = (
    Step("owdd replay status", prints="ID"),
    Step("owdd replay pause 3f9c21aa"),
    Step("owdd replay resume 3f9c21aa --rate 50"),
    Step("owdd replay resume ID", (REFUSED,), "is done"),
    Step("owdd replay cancel 3f9c21aa", (REFUSED,), "is done"),
)
"""A replay of all order headers is under way, one a second."""

STOPPED = (
    Step("owdd state accept --execute"),
    Step("owdd backup restore DIRECTORY --execute", (REFUSED,), "not empty", {"DIRECTORY": "backup"}),
    Step("owdd topics reread", (CHANGES,)),
    Step("owdd topics reread --execute"),
    Step("owdd topics reread --deliveries --execute"),
    Step("owdd topics clear", (CHANGES,)),
    Step("owdd topics clear --execute"),
    Step("owdd dlq drop --stage STAGE --execute", given={"STAGE": "orders"}),
)
"""All workers have ended."""

_DOCKER = "needs Docker; tests/stack resolves the Compose file, and runs the steps of the Dockerfile"
_NAMED = "names a command; the form with its options is run"
_SERVES = "runs until it is stopped"

_BESIDE = "needs workers of two generations: tests/convergence/test_rebuild.py"
_DRILL = "takes minutes; a case of it: tests/testkit/drill"

_RECONCILE = "runs against a delivered account: tests/operations/reconcile"

ELSEWHERE = {
    "owdd reconcile": _RECONCILE,
    "owdd reconcile --full": _RECONCILE,
    "owdd reconcile --full --execute": _RECONCILE,
    "owdd reconcile --show": _RECONCILE,
    "owdd consent preview": "tests/operations/test_consent_preview.py",
    "owdd run": f"{_SERVES}: the session's worker is one",
    "owdd run --only agents": f"{_SERVES}: workers of single roles run in tests/convergence",
    "owdd console": f"{_SERVES}: tests/console",
    "owdd sandbox": f"{_SERVES}: the session's Dotdigital is one",
    "owdd sandbox --port 8100 --state-dir data/sandbox --config account.yaml": f"{_SERVES}: tests/testkit/sandbox",
    "owdd connect start": "the session's Kafka Connect was started so; the command: tests/testkit/local_services",
    "owdd connect status": "tests/testkit/local_services",
    "owdd connect stop": "tests/testkit/local_services",
    "owdd demo --kafka-security sasl_ssl": "takes minutes; the secured broker: tests/kafka/test_secured_broker.py",
    "owdd erase": _NAMED,
    "owdd dlq drop": _NAMED,
    "owdd replay records": _NAMED,
    "owdd replay rebuild --mapping new.yaml": _BESIDE,
    "owdd replay rebuild --mapping new.yaml --execute": _BESIDE,
    "owdd replay rebuild --again": _BESIDE,
    "owdd plan --mapping new.yaml": _BESIDE,
    "owdd plan --mapping new.yaml --sample 5000": _BESIDE,
    "owdd replay back --execute": _BESIDE,
    "owdd replay back --to 1 --execute": _BESIDE,
    "owdd replay back --to N": _BESIDE,
    "owdd replay clean --execute": _BESIDE,
    "docker compose run --detach --env OWDD_GENERATION=1 --env OWDD_MAPPING=/etc/owdd/new.yaml agents": _DOCKER,
    "make docs": "writes into the checkout; tests/protocol and others compare what it writes",
    "make digests": "needs the registries; against one of its own: tests/stack/test_image_digests.py",
    "make sbom": "needs the tools of requirements/audit.lock, which only it installs",
    "make audit": "as make sbom, and asks PyPI",
    "make drill": _DRILL,
    "owdd drill --case NAME": _DRILL,
    "make demo-cdc": "takes minutes; a small one: tests/cdc/test_demo_cdc.py",
    "docker build -t owdd .": _DOCKER,
    "docker compose --profile console up -d": _DOCKER,
    "docker compose --profile sandbox --profile demo up": _DOCKER,
    "docker compose down --volumes": _DOCKER,
    "docker compose logs verify": _DOCKER,
    "docker compose up --build --detach": _DOCKER,
    "docker compose up --detach --scale agents=3": _DOCKER,
    "kubectl apply -k …": "needs a cluster; tests/stack builds the overlays and validates each object",
}
"""Commands that the session does not run, and why."""
