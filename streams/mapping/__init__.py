"""The site's mapping: one file that says where Orderwise keeps what, checked before anything runs.

It may import ``core`` and nothing else of ours. Start with ``default.yaml``, then ``model.py``, its type.
"""

from streams.mapping.loader import DEFAULT, load_mapping
from streams.mapping.model import ContactFields, DocumentKind, Mapping, Status

__all__ = ["DEFAULT", "ContactFields", "DocumentKind", "Mapping", "Status", "load_mapping"]
