"""Capture: the connector's configuration, the DBA's SQL, and what keeps the connector at work."""
