"""The site's mapping: one file with the tables, columns and codes of a site's Orderwise, checked before anything runs.

It may import ``streams.core`` only. Start with ``default.yaml``, the commented example, then ``model.py`` (its typed form) and
``loader.py`` (errors with file, line and field).
"""

from streams.mapping.loader import DEFAULT, load_mapping
from streams.mapping.model import ContactFields, DocumentKind, Mapping, Status

__all__ = ["DEFAULT", "ContactFields", "DocumentKind", "Mapping", "Status", "load_mapping"]
