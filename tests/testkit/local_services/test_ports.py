"""Free ports: programs that start at the same time are not given the same one."""

import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from testkit.local_services import ports
from testkit.local_services.ports import choose_port, free_port, keep_port


def some(_: int) -> list[int]:
    return [free_port() for _ in range(50)]


def test_no_port_is_given_twice_in_a_while() -> None:
    with ProcessPoolExecutor(4) as pool:
        given = [port for ports in pool.map(some, range(4)) for port in ports]
    assert len(set(given)) == 200


def test_a_port_that_a_program_may_come_back_on_is_given_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, restarted, free = (free_port() for _ in range(3))
    for port in (stopped, restarted, free):
        os.utime(ports._given_ports() / str(port), (0, 0))
    monkeypatch.setattr(ports, "_PORTS", [stopped, restarted, free])
    monkeypatch.setattr("random.sample", lambda these, _: these)
    keep_port(stopped)
    assert choose_port(None, restarted) == restarted
    assert free_port() == free
