# shellcheck shell=bash
# Sourced: sqlcmd as administrator. -C trusts the server's own certificate, -b makes an error the exit code; the password
# is not an argument, which other processes could read.
SQLCMDPASSWORD=$(</run/secrets/owdd_sa_password)
export SQLCMDPASSWORD
sqlcmd() {
    /opt/mssql-tools18/bin/sqlcmd -C -b -I -f 65001 -l 5 -U sa "$@"
}
