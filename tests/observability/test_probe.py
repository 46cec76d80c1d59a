"""The containers' health check, run as the container runs it, against a real page."""

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from streams.observability import probe as program
from testkit.local_services.ports import free_port


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if "unready" in self.path else 200)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def probe(url: str) -> int:
    return subprocess.run([sys.executable, "-I", "-S", program.__file__, url], check=False, capture_output=True).returncode


def test_a_page_that_answers_is_healthy(page: str) -> None:
    assert probe(f"{page}/ready") == 0


def test_a_page_that_refuses_is_not(page: str) -> None:
    assert probe(f"{page}/unready") == 1


def _hang_up(server: socket.socket) -> None:
    connection, _ = server.accept()
    connection.close()


def test_a_server_that_speaks_no_http_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=_hang_up, args=(server,), daemon=True).start()
        assert probe(f"http://127.0.0.1:{server.getsockname()[1]}/ready") == 1


def test_it_costs_little_more_than_the_start_of_python(page: str) -> None:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert [probe(f"{page}/ready") for _ in range(5)] == [0] * 5
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime < 5 * 0.1


def test_nobody_there_is_not() -> None:
    assert probe(f"http://127.0.0.1:{free_port()}/ready") == 1
