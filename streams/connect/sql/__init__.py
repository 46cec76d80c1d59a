"""SQL scripts for the DBA, generated from the mapping and never executed by the product, so that a DBA can review them.

Start with ``scripts.py`` (the list), then ``enable.py``; ``layout.py`` has the form of every script.
"""

from streams.connect.sql.scripts import SCRIPTS, script

__all__ = ["SCRIPTS", "script"]
