"""One seed is one shop: the same byte for byte, whatever happens to its records on the way."""

from datetime import timedelta

from testkit.simulate import Simulation
from testkit.simulate.calendar import USUAL_END
from tests.testkit.simulate.simulated_shops import config


def test_one_seed_gives_one_shop_byte_for_byte() -> None:
    faults = {"duplicates": 0.1, "replays": 3, "shuffle": True, "meta": True, "consent": True}
    first, second = (list(Simulation(config(7, **faults), lambda: 10**18).events()) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_shop() -> None:
    first, second = (list(Simulation(config(seed), lambda: 10**18).events()) for seed in (1, 2))
    assert first != second


def test_faults_do_not_change_what_happens_in_the_shop() -> None:
    plain, faulty = Simulation(config()), Simulation(config(duplicates=0.3, replays=4, shuffle=True))
    for simulation in (plain, faulty):
        assert sum(1 for _ in simulation.events())
    assert plain.truth() == faulty.truth()


def test_the_end_is_all_that_moves_a_shop_in_time() -> None:
    first, second = (list(Simulation(config(ending=USUAL_END), lambda: 0).events()) for _ in range(2))
    assert first == second
    assert first != list(Simulation(config(ending=USUAL_END + timedelta(days=1)), lambda: 0).events())
