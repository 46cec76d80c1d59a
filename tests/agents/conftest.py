"""Shared by the tests of the joins."""

import pytest

from tests.agents.pipeline import Pipeline


@pytest.fixture
def pipeline() -> Pipeline:
    """The chain of orders, buyers and contacts in memory, empty."""
    return Pipeline()
