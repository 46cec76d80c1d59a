"""Kafka Connect as far as the capture guard asks it, in health or not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from testkit.local_services.ports import HOST


@dataclass
class FakeConnect:
    """One connector with one task.

    Attributes:
        connector: its name.
        task: the task's state.
        away: answer 503 to everything.
        metrics: what ``/metrics`` shows, as the JMX exporter does.
        port: where it listens.
    """

    connector: str
    task: str = "RUNNING"
    away: bool = False
    metrics: str = ""
    port: int = field(default=0, init=False)

    @property
    def url(self) -> str:
        """Base of its REST API and of ``/metrics``."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def served(self) -> Iterator[None]:
        """Answer in threads of its own."""
        with ThreadingHTTPServer((HOST, 0), _handler(self)) as server:
            self.port = server.server_port
            Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()

    def answer(self, path: str) -> bytes | None:
        """The body of the response; None: it is away."""
        if self.away:
            return None
        if path == "/metrics":
            return self.metrics.encode()
        part = {"state": "RUNNING", "worker_id": "w:8083"}
        answers: dict[str, Any] = {
            "status": {"name": self.connector, "connector": part, "tasks": [part | {"id": 0, "state": self.task}]},
            "offsets": {"offsets": [{"partition": {"server": "ow"}, "offset": {"commit_lsn": "1"}}]},
        }
        return json.dumps(answers.get(path.rsplit("/", 1)[1], {})).encode()


def _handler(connect: FakeConnect) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = connect.answer(self.path)
            self._send(503 if body is None else 200, body or b"{}")

        def do_POST(self) -> None:
            self._send(503 if connect.away else 202, b"{}")

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    return Handler
