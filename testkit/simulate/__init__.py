"""A made-up Orderwise shop that changes its rows and emits what Debezium would emit for every change.

Of the product it imports ``connect`` (the DBA's script) and what lies below. Start with ``simulation.py``, then
``order_life.py`` (a normal day) and ``envelopes.py`` (the records).
"""

from testkit.simulate.config import SimulationConfig
from testkit.simulate.envelopes import Event
from testkit.simulate.simulation import Simulation
from testkit.simulate.truth import Truth, read_truth

__all__ = ["Event", "Simulation", "SimulationConfig", "Truth", "read_truth"]
