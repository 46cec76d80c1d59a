"""How long a test waits for real programs."""

PATIENCE = 180.0
"""Seconds that no wait for a real program reaches unless it hangs, on a slow machine with much else to do."""
