"""What changes state is in the audit trail before it is done: a command that dies in between leaves its trace."""

from typing import Any, Self

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from streams.cli import app
from streams.cli import state as command
from streams.core.clock import SystemClock
from streams.domain.digester import Digester
from streams.messages.erasure_requests import ErasureRequest
from streams.messages.topics import Topics
from streams.operations import erasure_keys
from streams.settings import Settings


def test_a_mapping_is_accepted_behind_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    async def changed(*_: Any) -> list[str]:
        return ["order"]

    async def accepted(*_: Any) -> None:
        done.append("accepted")

    async def recorded(_settings: Settings, action: str, by: str, _clock: Any) -> None:
        done.append(f"{action} by {by}")

    done: list[str] = []
    monkeypatch.setattr(command, "changed_mapping", changed)
    monkeypatch.setattr(command, "accept_mapping", accepted)
    monkeypatch.setattr(command, "record_maintenance", recorded)
    assert CliRunner().invoke(app, ["state", "accept", "--execute", "--operator", "kim"]).exit_code == 0
    assert done == ["accept mapping by kim", "accepted"]


class Log:
    """A producer that only notes where it is to append."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def send_one(self, topic: str, *_: Any) -> None:
        self.topics.append(topic)


class AuditedLog:
    """An audit log that notes the same."""

    @staticmethod
    def of(_: Settings, log: Log) -> "AuditedLog":
        return AuditedLog(log)

    def __init__(self, log: Log) -> None:
        self._log = log

    async def write(self, *_: Any) -> None:
        self._log.topics.append("audit")


async def test_erasures_are_rekeyed_behind_their_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, log = Settings(former_erasure_keys=SecretStr("former")), Log()
    monkeypatch.setattr(erasure_keys, "BatchProducer", lambda _: log)
    monkeypatch.setattr(erasure_keys, "AuditLog", AuditedLog)
    former = Digester(settings.erasure_keys[0])
    found = erasure_keys.ErasureKeys({}, {former("ann@example.com"): ErasureRequest(1, "kim", former.key_id)})
    await erasure_keys.rekey(settings, found, "kim", SystemClock(), lambda _: None)
    erasures = Topics.of(settings.app_id).erasures
    assert log.topics == ["audit", erasures, erasures]
