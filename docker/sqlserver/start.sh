#!/bin/bash
# SQL Server takes the administrator's password from its environment only. It is set here, where neither Compose nor
# `docker inspect` shows it.
set -euo pipefail
if [ "${ACCEPT_EULA:-}" != Y ]; then
    echo "error: the licence terms of SQL Server are not accepted. Read them (.env.example has the link), then set ACCEPT_EULA=Y in .env" >&2
    exit 1
fi
MSSQL_SA_PASSWORD=$(</run/secrets/owdd_sa_password)
export MSSQL_SA_PASSWORD
exec /opt/mssql/bin/sqlservr
