"""A made-up Orderwise shop that changes its rows and emits what Debezium would emit for every change."""

from streams.simulate.config import SimulationConfig
from streams.simulate.envelopes import Event
from streams.simulate.simulation import Simulation
from streams.simulate.truth import Truth, read_truth

__all__ = ["Event", "Simulation", "SimulationConfig", "Truth", "read_truth"]
