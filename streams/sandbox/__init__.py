"""An offline server that answers as Dotdigital does, so that the bridge can be proved without an account.

It keeps contacts and data fields in memory, obeys the rules of the v3 contacts and v2 data-field services that a
data sync meets, and can be told to misbehave (`streams.sandbox.faults`). Where Dotdigital's published material is
silent or contradicts itself the choice made here is written beside the code that makes it.
"""

from streams.sandbox.app import SandboxApp, create_app
from streams.sandbox.config import SandboxConfig

__all__ = ["SandboxApp", "SandboxConfig", "create_app"]
