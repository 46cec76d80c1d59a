"""How many examples Hypothesis tries where those of a thorough run would take most of a minute."""

import os

MORE = int(os.environ.get("OWDD_EXAMPLES", "1"))
"""Times as many; ``make storms`` tries ten times as many."""
