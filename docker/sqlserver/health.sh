#!/bin/bash
# An answer is not enough: without its Agent SQL Server captures nothing, and enabling CDC right after the start fails.
set -euo pipefail
# shellcheck source=sqlcmd.sh
source /owdd/sqlcmd.sh
sqlcmd -S localhost -h -1 -Q "
    IF NOT EXISTS (SELECT 1 FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent%' AND status = 4)
        THROW 50000, N'SQL Server Agent is not running', 1;" >/dev/null
