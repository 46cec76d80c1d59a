#!/bin/bash
# SQL Server takes the administrator's password from its environment only. It is set here, where neither Compose nor
# `docker inspect` shows it.
set -euo pipefail
MSSQL_SA_PASSWORD=$(</run/secrets/owdd_sa_password)
export MSSQL_SA_PASSWORD
exec /opt/mssql/bin/sqlservr
