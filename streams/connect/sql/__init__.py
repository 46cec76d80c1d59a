"""SQL for the DBA, generated from the mapping and never executed by us: what capture needs, in a form that can be reviewed."""

from streams.connect.sql.scripts import SCRIPTS, script

__all__ = ["SCRIPTS", "script"]
