"""A made-up Orderwise shop that changes its rows and emits what Debezium would emit for every change."""

from testkit.simulate.config import SimulationConfig
from testkit.simulate.envelopes import Event
from testkit.simulate.simulation import Simulation
from testkit.simulate.truth import Truth, read_truth

__all__ = ["Event", "Simulation", "SimulationConfig", "Truth", "read_truth"]
