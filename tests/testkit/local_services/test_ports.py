"""Free ports: programs that start at the same time are not given the same one."""

from concurrent.futures import ProcessPoolExecutor

from testkit.local_services.ports import free_port


def some(_: int) -> list[int]:
    return [free_port() for _ in range(50)]


def test_no_port_is_given_twice_in_a_while() -> None:
    with ProcessPoolExecutor(4) as pool:
        given = [port for ports in pool.map(some, range(4)) for port in ports]
    assert len(set(given)) == 200
