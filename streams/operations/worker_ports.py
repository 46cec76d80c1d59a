"""The ports of the workers that ``OWDD_WORKERS`` names: their addresses, and their metrics summed up over all of them."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from streams.settings import Settings

_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 10.0


Samples: TypeAlias = dict[str, dict[tuple[tuple[str, str], ...], list[float]]]
"""Values by name, then by labels."""


@dataclass(frozen=True, slots=True)
class WorkerMetrics:
    """Samples of all workers that answered.

    Attributes:
        samples: values by name, then by labels; of one name and labels those of every worker.
        unreachable: addresses that did not answer, or not as a worker does.
    """

    samples: Samples = field(default_factory=dict)
    unreachable: tuple[str, ...] = ()

    def summed(self, name: str, label: str) -> dict[str, float]:
        """The sum over all workers, by the values of one label."""
        found: dict[str, float] = defaultdict(float)
        for labels, values in self.samples.get(name, {}).items():
            found[dict(labels).get(label, "")] += sum(values)
        return dict(found)

    def most(self, name: str, **labels: str) -> float | None:
        """The highest value that any worker shows; None: no worker has the metric."""
        return max(self._values(name, labels), default=None)

    def least(self, name: str, **labels: str) -> float | None:
        """The lowest value that any worker shows; None: no worker has the metric."""
        return min(self._values(name, labels), default=None)

    def _values(self, name: str, labels: dict[str, str]) -> Iterator[float]:
        wanted = set(labels.items())
        for key, values in self.samples.get(name, {}).items():
            if wanted <= set(key):
                yield from values


async def worker_addresses(settings: Settings) -> list[str]:
    """Base addresses of all ports (``http://host:port``); a name that means several machines gives one for each."""
    found: list[str] = []
    for place in filter(None, settings.workers.split(",")):
        host, _, port = place.rpartition(":")
        found += [f"http://{address}:{port}" for address in await _addresses(host.strip("[]"), int(port))]
    return list(dict.fromkeys(found))


async def _addresses(host: str, port: int) -> list[str]:
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        # Shown as a worker that does not answer, under the name that the operator gave.
        return [host]
    # One machine may have an address of each kind, and would be counted twice.
    version_4 = [str(info[4][0]) for info in infos if info[0] is socket.AF_INET]
    return version_4 or [f"[{info[4][0]}]" for info in infos]


async def worker_metrics(settings: Settings) -> WorkerMetrics | None:
    """The metrics of all workers; None if ``OWDD_WORKERS`` names none."""
    addresses = await worker_addresses(settings)
    if not addresses:
        return None
    timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
        pages = await asyncio.gather(*(_page(client, address) for address in addresses))
    silent = tuple(address for address, page in zip(addresses, pages, strict=True) if page is None)
    return WorkerMetrics(_samples(page for page in pages if page is not None), silent)


async def _page(client: httpx.AsyncClient, address: str) -> list[Metric] | None:
    try:
        response = await client.get(f"{address}/metrics")
        return list(text_string_to_metric_families(response.text)) if response.is_success else None
    except (httpx.HTTPError, ValueError, LookupError):
        # Nobody is there, or another program, whose page the parser cannot read.
        return None


def _samples(pages: Iterable[list[Metric]]) -> Samples:
    found: Samples = defaultdict(lambda: defaultdict(list))
    for page in pages:
        for family in page:
            for sample in family.samples:
                found[sample.name][tuple(sorted(sample.labels.items()))].append(sample.value)
    return found
