"""The default shop, simulated once for all tests that only read it."""

from itertools import count

import pytest

from testkit.simulate import Simulation, SimulationConfig
from tests.testkit.simulate.simulated_shops import Run, site


@pytest.fixture(scope="package")
def default_run() -> Run:
    simulation = Simulation(SimulationConfig(mapping=site(), consent=True), count(1_790_000_000_000_000_000).__next__)
    return Run(simulation, list(simulation.events()))
