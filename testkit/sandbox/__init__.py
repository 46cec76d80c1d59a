"""An offline server that answers as Dotdigital does, so that the bridge can be proved without an account.

It keeps one account in memory: contacts and their imports, insight data, events, lists, programs and consent. It obeys
the rules that a data sync meets, counts calls against budgets (`testkit.sandbox.limits`) and can be made to misbehave
(`testkit.sandbox.faults`). Where Dotdigital's published material is silent or contradicts itself the choice made here
is written beside the code that makes it, and in docs/sandbox.md. It imports nothing of the product. Start with ``app.py``, then
``store.py``.
"""

from testkit.sandbox.app import SandboxApp, create_app
from testkit.sandbox.config import SandboxConfig
from testkit.sandbox.configfile import load_config
from testkit.sandbox.error_replies import ApiError

__all__ = ["ApiError", "SandboxApp", "SandboxConfig", "create_app", "load_config"]
