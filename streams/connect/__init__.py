"""Capture: the connector's configuration, the DBA's SQL, and the guard that keeps the connector running."""
