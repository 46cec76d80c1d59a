#!/bin/bash
# One-shot: creates the Orderwise-like database, and runs the capture scripts as a site's DBA does. Every script may run again.
set -euo pipefail
# shellcheck source=sqlcmd.sh
source /owdd/sqlcmd.sh
# sqlcmd replaces $(NAME) in a script by these.
OWDD_SOURCE_PASSWORD=$(</run/secrets/owdd_source_password)
OWDD_ORDERWISE_PASSWORD=$(</run/secrets/owdd_orderwise_password)
export OWDD_SOURCE_PASSWORD OWDD_ORDERWISE_PASSWORD
run() {
    echo "$2"
    sqlcmd -S sqlserver -d "$1" -i "$2"
}
run master /owdd/database.sql
run Orderwise /owdd/orderwise.sql
run Orderwise /capture/enable.sql
run Orderwise /capture/login.sql
