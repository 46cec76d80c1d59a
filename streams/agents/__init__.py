"""The joins: one handler per key, each a thin shell that folds changes into state rows with ``streams.domain``."""
