"""The connector's login: it may read captured tables, write its heartbeat and its signal table, and nothing else.

The permissions are those that Debezium's SQL Server page lists. ``EXECUTE`` on ``sys.sp_cdc_help_change_data_capture`` and
``sys.sp_cdc_help_jobs`` is not granted, because SQL Server gives it to everybody (role public).
"""

from streams.connect.sql.layout import layout, stop_if, when
from streams.connect.sql.names import ROLE, captured_tables, identifier, qualified, text
from streams.kafka.capture_topics import HEARTBEAT, SCHEMA, SIGNAL
from streams.mapping import Mapping
from streams.settings import Settings

PASSWORD = "$(OWDD_SOURCE_PASSWORD)"  # noqa: S105 - the name of a variable
"""The sqlcmd variable that stands for the password; sqlcmd takes it from the environment."""

_ABOUT = f"""
Makes the login and the user of the connector, and grants what capture needs through role [{ROLE}].
Run by: a sysadmin, or a securityadmin who is db_owner here; after enable.sql.
The password is the environment variable OWDD_SOURCE_PASSWORD, which sqlcmd inserts; it must contain no quote mark. Do not
give it with -v: other users of the machine can read arguments. A login that exists keeps its password.
"""


def login(mapping: Mapping, settings: Settings) -> str:
    """The script ``login.sql``."""
    user, role = identifier(settings.source_user), identifier(ROLE)
    reads = [f"GRANT SELECT ON {table.name} TO {role};" for table in captured_tables(mapping)]
    batches = [
        stop_if(
            f"LEN(N'{PASSWORD}') < 12 OR N'{PASSWORD}' = N'$' + N'{PASSWORD[1:]}'",
            "OWDD_SOURCE_PASSWORD is not set, or shorter than 12 characters. Nothing was done.",
        ),
        stop_if(f"DATABASE_PRINCIPAL_ID({text(ROLE)}) IS NULL", "Run enable.sql first. Nothing was done."),
        when(
            f"SUSER_ID({text(settings.source_user)}) IS NULL",
            f"CREATE LOGIN {user} WITH PASSWORD = N'{PASSWORD}', "
            f"DEFAULT_DATABASE = {identifier(mapping.source.database)}, CHECK_POLICY = ON;",
        ),
        when(f"DATABASE_PRINCIPAL_ID({text(settings.source_user)}) IS NULL", f"CREATE USER {user} FOR LOGIN {user};"),
        "-- After a restore the user belongs to a login of another server.\n" + f"ALTER USER {user} WITH LOGIN = {user};",
        f"ALTER ROLE {role} ADD MEMBER {user};",
        "-- Source tables, for the first read and incremental snapshots.\n" + "\n".join(reads),
        "-- Change tables and their metadata.\n" + f"GRANT SELECT ON SCHEMA::[cdc] TO {role};",
        f"GRANT UPDATE ON {qualified(SCHEMA, HEARTBEAT)} TO {role};",
        f"GRANT INSERT, DELETE ON {qualified(SCHEMA, SIGNAL)} TO {role};",
        "-- Whether the log is being read.\n" + f"GRANT VIEW DATABASE STATE TO {role};",
        "-- Whether SQL Server Agent runs.\n" + f"USE [master];\nGRANT VIEW SERVER STATE TO {user};",
    ]
    return layout("login", mapping, _ABOUT, batches)
