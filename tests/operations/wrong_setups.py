"""The table of wrong set-ups: how each is made, and the one message with which the worker refuses to start."""

from streams.cli.exit_codes import ExitCode
from tests.operations.setup_starts import SilentServer, WrongSetup, file, in_use, mapping, one_workers, port_taken, replicas

_MAPPED = {"OWDD_MAPPING": "<directory>/mapping.yaml"}
_REAL = {"OWDD_DOTDIGITAL_URL": "auto", "OWDD_DOTDIGITAL_USER": "apiuser-1@apiconnector.com", "OWDD_HASH_KEY": "k" * 32}
_SASL = {"OWDD_KAFKA_PROTOCOL": "SASL_SSL"}
_REBUILD_BESIDE = "Rebuild beside the old one: 'owdd replay rebuild --mapping'"
_REBUILD = "Rebuild: 'owdd topics clear --execute', a higher OWDD_APP_VERSION, 'owdd topics apply --execute'"
_ACCEPT = "'owdd state accept' goes on with rows as the old mapping read them"
INVALID, REFUSED, UNREACHABLE = ExitCode.INVALID, ExitCode.REFUSED, ExitCode.UNREACHABLE

SILENT = SilentServer()

TABLE = (
    WrongSetup(
        "a setting has a wrong value",
        INVALID,
        "OWDD_PARTITIONS: Input should be greater than or equal to 1",
        {"OWDD_PARTITIONS": "0"},
    ),
    WrongSetup(
        "a setting has none of its words",
        INVALID,
        "OWDD_KAFKA_PROTOCOL: Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'",
        {"OWDD_KAFKA_PROTOCOL": "TLS"},
    ),
    WrongSetup(
        "a setting is not JSON",
        INVALID,
        "OWDD_TOPIC_CONFIG: is not JSON. Write it as one JSON object",
        {"OWDD_TOPIC_CONFIG": "retention.ms=1"},
    ),
    WrongSetup(
        "a secret file is not text",
        INVALID,
        "<directory>/secrets/owdd_hash_key: is not UTF-8 text. Give this user the right to read it, or write it anew",
        {"OWDD_SECRETS_DIR": "<directory>/secrets"},
        make=file("secrets/owdd_hash_key", b"\xff\xfe"),
    ),
    WrongSetup(
        "the directory of secrets is a file",
        INVALID,
        "OWDD_SECRETS_DIR <directory>/secrets: is not a directory. Name the directory of the secrets",
        {"OWDD_SECRETS_DIR": "<directory>/secrets"},
        make=file("secrets", b""),
    ),
    WrongSetup(
        "a secret is a directory, as a mount leaves it whose file is missing",
        INVALID,
        "<directory>/secrets/owdd_hash_key: is a directory. Put a file there that holds the secret alone",
        {"OWDD_SECRETS_DIR": "<directory>/secrets"},
        make=file("secrets/owdd_hash_key/empty", b""),
    ),
    WrongSetup(
        "a member of a JSON setting is wrong",
        INVALID,
        "OWDD_TOPIC_CONFIG: retention.ms: Input should be a valid string",
        {"OWDD_TOPIC_CONFIG": '{"retention.ms": 1}'},
    ),
    WrongSetup(
        "the session is shorter than brokers allow",
        INVALID,
        "OWDD_SESSION_TIMEOUT: Input should be greater than or equal to 6",
        {"OWDD_SESSION_TIMEOUT": "3"},
    ),
    WrongSetup(
        "the env file is missing",
        INVALID,
        "owdd: Invalid value for '--env-file' (env var: 'OWDD_ENV_FILE'): file '<directory>/none' does not exist. See 'owdd --help'.",
        arguments=("--env-file", "<directory>/none", "run"),
    ),
    WrongSetup(
        "the env file is not text",
        INVALID,
        "<directory>/site.env: is not UTF-8 text. Write one NAME=value on a line",
        arguments=("--env-file", "<directory>/site.env", "run"),
        make=file("site.env", b"\xff\xfe"),
    ),
    WrongSetup(
        "the env file has a line that is no variable",
        INVALID,
        "<directory>/site.env:2: is no variable. Write one NAME=value on a line",
        arguments=("--env-file", "<directory>/site.env", "run"),
        make=file("site.env", b"OWDD_APP_ID=site\nOWDD_HASH_KEY 0123456789\n"),
    ),
    WrongSetup(
        "`--only` names no part",
        INVALID,
        "owdd run: Invalid value for '--only': Value error, 'agent' is not one of 'ingest', 'agents', 'dispatch'. See 'owdd run "
        "--help'.",
        arguments=("run", "--only=agent"),
    ),
    WrongSetup(
        "the mapping is missing",
        INVALID,
        "<directory>/mapping.yaml: cannot be read: No such file or directory. Set OWDD_MAPPING to the site's file",
        _MAPPED,
    ),
    WrongSetup(
        "the mapping is not YAML",
        INVALID,
        "<directory>/mapping.yaml:<line>: not valid YAML: mapping values are not allowed in this context",
        _MAPPED,
        make=file("mapping.yaml", b"version: 1\n  source: x\n"),
    ),
    WrongSetup(
        "the mapping has a misspelt key",
        INVALID,
        "<directory>/mapping.yaml:<line>: exclude_day: Extra inputs are not permitted",
        _MAPPED,
        make=mapping(lambda data: data.update(exclude_day=data.pop("exclude_days", 30))),
    ),
    WrongSetup(
        "the mapping lists an order type as two kinds",
        INVALID,
        "<directory>/mapping.yaml:<line>: order.types: Value error, order types [1] are listed twice",
        _MAPPED,
        make=mapping(lambda data: data["order"].update(types={"order": [1], "credit": [1]})),
    ),
    WrongSetup(
        "the mapping gives a status a kind that there is not",
        INVALID,
        "<directory>/mapping.yaml:<line>: order.statuses.new: Input should be 'open', 'held', 'part_despatched', 'despatched', "
        "'completed' or 'cancelled'",
        _MAPPED,
        make=mapping(lambda data: data["order"]["statuses"].update(new="opened")),
    ),
    WrongSetup(
        "the mapping's consent has no column",
        INVALID,
        "<directory>/mapping.yaml:<line>: consent: Value error, consent.mode is 'column', so consent.column must name a column of "
        "the contact table",
        _MAPPED,
        make=mapping(lambda data: data.update(consent={"mode": "column"})),
    ),
    WrongSetup(
        "the mapping's time zone is unknown",
        INVALID,
        "<directory>/mapping.yaml:<line>: source: Value error, unknown time zone 'Europe/Londen'; use an IANA name such as "
        "Europe/London",
        _MAPPED,
        make=mapping(lambda data: data["source"].update(timezone="Europe/Londen")),
    ),
    WrongSetup(
        "the shipped key is used for real contacts",
        INVALID,
        "OWDD_HASH_KEY: is as shipped, and Dotdigital is not the sandbox. Set a secret of your own before the first start, for "
        "anybody can reverse hashes made with this one",
        _REAL | {"OWDD_HASH_KEY": "owdd"},
    ),
    WrongSetup(
        "the sandbox would get a real account's credentials",
        INVALID,
        "OWDD_DOTDIGITAL_USER: belongs to a real account, and OWDD_DOTDIGITAL_URL is a sandbox. Set OWDD_DOTDIGITAL_URL to auto, or "
        "a user of the sandbox's own",
        _REAL | {"OWDD_DOTDIGITAL_URL": "http://127.0.0.1:8100"},
    ),
    WrongSetup(
        "Dotdigital would get a sandbox's credentials",
        INVALID,
        "OWDD_DOTDIGITAL_USER: belongs to a sandbox, and OWDD_DOTDIGITAL_URL does not. Set it to the account's API user",
        _REAL | {"OWDD_DOTDIGITAL_USER": "sandbox@apiconnector.example"},
    ),
    WrongSetup(
        "somebody else would get the credentials",
        INVALID,
        "OWDD_DOTDIGITAL_URL: is not a host of Dotdigital. Set it to the endpoint of the account's region, or to auto",
        _REAL | {"OWDD_DOTDIGITAL_URL": "https://r1-api.dotdigital.com.example"},
    ),
    WrongSetup(
        "Dotdigital would get the credentials without TLS",
        INVALID,
        "OWDD_DOTDIGITAL_URL: would send credentials without TLS. Begin it with https://, or set it to auto",
        _REAL | {"OWDD_DOTDIGITAL_URL": "http://r1-api.dotdigital.com"},
    ),
    WrongSetup(
        "the account's password is missing",
        INVALID,
        "OWDD_DOTDIGITAL_PASSWORD: is empty, and dispatch calls Dotdigital. Set it to the API user's, as a variable or as a file in "
        "OWDD_SECRETS_DIR",
        _REAL,
    ),
    WrongSetup(
        "the port of `/metrics` is taken",
        INVALID,
        "OWDD_METRICS_PORT: cannot listen on 127.0.0.1:<port>: Address already in use. Set another port (0 picks a free one), or "
        "another OWDD_METRICS_HOST",
        {"OWDD_METRICS_PORT": "<port>"},
        make=port_taken,
    ),
    WrongSetup(
        "the address of `/metrics` is another machine's",
        INVALID,
        "OWDD_METRICS_PORT: cannot listen on 203.0.113.1:0: Cannot assign requested address. Set another port (0 picks a free one), "
        "or another OWDD_METRICS_HOST",
        {"OWDD_METRICS_HOST": "203.0.113.1"},
    ),
    WrongSetup(
        "too few open files for 8 partitions",
        INVALID,
        "OWDD_PARTITIONS: 8 partitions may need 3080 open files, and the limit is 300. Raise the limit (ulimit -n 3080; LimitNOFILE "
        "of systemd; ulimits.nofile of Compose)",
        {"OWDD_PARTITIONS": "8"},
        open_files=300,
    ),
    WrongSetup(
        "the data directory is a file",
        INVALID,
        "OWDD_DATA_DIR: <directory>/data cannot be made: File exists. Name a directory that this user may write",
        make=file("data", b""),
    ),
    WrongSetup(
        "the data directory cannot be written",
        INVALID,
        "OWDD_DATA_DIR: /proc/self/fdinfo cannot be written: No such file or directory. Give it to the user that runs the worker, "
        "or name another",
        {"OWDD_DATA_DIR": "/proc/self/fdinfo"},
    ),
    WrongSetup(
        "the data directory is one that replicas share",
        INVALID,
        "OWDD_DATA_DIR: <directory>/data holds the directories of replicas that share it. Set OWDD_DATA_SHARED=true, or give this "
        "worker another directory",
        make=replicas,
    ),
    WrongSetup(
        "the shared data directory is one worker's own",
        INVALID,
        "OWDD_DATA_DIR: <directory>/data holds the state of one worker. Set OWDD_DATA_SHARED=false, or give the replicas another "
        "directory",
        {"OWDD_DATA_SHARED": "true"},
        make=one_workers,
    ),
    WrongSetup(
        "another worker uses the data directory",
        REFUSED,
        "OWDD_DATA_DIR: another process uses <directory>/data. Stop that process, or give each worker a directory of its own",
        make=in_use,
    ),
    WrongSetup(
        "Kafka: login without user",
        INVALID,
        "OWDD_KAFKA_PROTOCOL=SASL_SSL with OWDD_KAFKA_SASL_MECHANISM=SCRAM-SHA-512 needs OWDD_KAFKA_USER and OWDD_KAFKA_PASSWORD",
        _SASL,
    ),
    WrongSetup(
        "Kafka: tokens without a function that fetches them",
        INVALID,
        "OWDD_KAFKA_OAUTH_HOOK: 'site_tokens:token' cannot be imported (No module named 'site_tokens'); write it module:function",
        _SASL | {"OWDD_KAFKA_SASL_MECHANISM": "OAUTHBEARER", "OWDD_KAFKA_OAUTH_HOOK": "site_tokens:token"},
    ),
    WrongSetup(
        "Kafka: a certificate without its key",
        INVALID,
        "a client certificate needs both OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY: set the other one, or neither",
        {"OWDD_KAFKA_PROTOCOL": "SSL", "OWDD_KAFKA_CERTIFICATE": "<directory>/client.pem"},
    ),
    WrongSetup(
        "Kafka: the CA is missing",
        INVALID,
        "OWDD_KAFKA_CA: not usable (No such file or directory); give the path of a PEM file, or its text (docs/kafka-security.md)",
        {"OWDD_KAFKA_PROTOCOL": "SSL", "OWDD_KAFKA_CA": "<directory>/ca.pem"},
    ),
    WrongSetup(
        "Kafka is not there",
        UNREACHABLE,
        "Kafka at 127.0.0.1:1: no program listens; check OWDD_KAFKA_BOOTSTRAP, and that the broker runs",
        {"OWDD_KAFKA_BOOTSTRAP": "127.0.0.1:1"},
    ),
    WrongSetup(
        "Kafka: the password is wrong",
        UNREACHABLE,
        "Kafka at <server>: the broker refuses our credentials; check OWDD_KAFKA_USER and OWDD_KAFKA_PASSWORD, and "
        "OWDD_KAFKA_SASL_MECHANISM",
        {"OWDD_KAFKA_PASSWORD": "a-wrong-one"},
        needs="scram",
    ),
    WrongSetup(
        "Kafka: the client certificate is missing",
        UNREACHABLE,
        "Kafka at <server>: the connection was closed while we introduced ourselves; check OWDD_KAFKA_PROTOCOL, and "
        "OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY if the broker asks for a client certificate",
        {"OWDD_KAFKA_CERTIFICATE": "", "OWDD_KAFKA_KEY": ""},
        needs="mtls",
    ),
    WrongSetup(
        "Ctrl-C while the worker waits for Kafka",
        ExitCode.INTERRUPTED,
        "interrupted",
        {"OWDD_KAFKA_BOOTSTRAP": "<server>"},
        make=SILENT.make,
        interrupt_when=SILENT.asked,
    ),
    WrongSetup(
        "topics are missing",
        INVALID,
        "Kafka: topics are missing: <topics> and <count> more. Run 'owdd topics apply --execute'",
        arguments=("run", "--only=agents"),
        needs="broker",
    ),
    WrongSetup(
        "a generation of the joins that nobody began, or that was cleaned up",
        INVALID,
        "OWDD_GENERATION: there is no generation 7. Set it to 0, which is in effect; 'owdd replay rebuild' begins another",
        {"OWDD_GENERATION": "7"},
        ("run", "--only=agents"),
        needs="topics",
    ),
    WrongSetup(
        "captured topics are missing",
        INVALID,
        "Kafka: topics are missing: <topics> and <count> more. Run 'owdd topics apply --execute'",
        _MAPPED,
        make=mapping(lambda data: data["source"].update(topic_prefix="another")),
        needs="topics",
    ),
    WrongSetup(
        "topics have another partition count",
        INVALID,
        "OWDD_PARTITIONS: is 4, but <topics> and <count> more. Set it to the count that the topics have; only a new OWDD_APP_ID can "
        "begin with another",
        {"OWDD_PARTITIONS": "4"},
        ("run", "--only=agents"),
        needs="topics",
    ),
    WrongSetup(
        "state was built with another mapping",
        REFUSED,
        "OWDD_MAPPING <directory>/mapping.yaml: state was built with another mapping: house_accounts, products.category.key, products.category.name and <count> more "
        f"changed. {_REBUILD_BESIDE}; or take the change back; {_ACCEPT}",
        _MAPPED,
        ("run", "--only=agents"),
        mapping(lambda data: data.update(house_accounts=[7], products=None)),
        "state",
    ),
    WrongSetup(
        "state was written by an older release, in another format",
        REFUSED,
        f"Kafka: state was written by owdd 0.1.0, in another format (state). {_REBUILD}",
        {"OWDD_APP_VERSION": "2"},
        ("run", "--only=agents"),
        needs="state",
    ),
    WrongSetup(
        "state was written by a newer release, in another format",
        REFUSED,
        "Kafka: state was written by owdd 9.0.0, in another format (outbox). Run owdd 9.0.0 or a later release",
        {"OWDD_APP_VERSION": "3"},
        ("run", "--only=agents"),
        needs="state",
    ),
    WrongSetup(
        "state was written by a release that noted no set-up",
        REFUSED,
        f"Kafka: there are rows in <changelogs>, but topic setup has no mapping and format for them. {_REBUILD}; {_ACCEPT}",
        {"OWDD_APP_VERSION": "4"},
        ("run", "--only=agents"),
        needs="state",
    ),
    WrongSetup(
        "the erasure key is not the one in use",
        INVALID,
        "OWDD_ERASURE_KEY: is not the key <id> by which erased people are recognised. Set it to that key; to change it, add the old "
        "one to OWDD_FORMER_ERASURE_KEYS",
        {"OWDD_ERASURE_KEY": "another"},
        ("run", "--only=agents"),
        needs="state",
    ),
    WrongSetup(
        "the hash key was changed, and it is the erasure key too",
        INVALID,
        "OWDD_ERASURE_KEY (empty: OWDD_HASH_KEY): is not the key <id> by which erased people are recognised. Set it to that key; to "
        "change it, add the old one to OWDD_FORMER_ERASURE_KEYS",
        {"OWDD_HASH_KEY": "another"},
        ("run", "--only=agents"),
        needs="state",
    ),
)
