"""Metrics, health and logs for the operator."""
