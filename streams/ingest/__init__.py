"""Ingest: captured records in; typed, trimmed, re-keyed and packed changes out."""
