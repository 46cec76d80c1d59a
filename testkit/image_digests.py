"""Pin each third party's image in Dockerfile and Compose file to the digest that its tag has now: ``make digests``.

A tag can be moved; a digest cannot. Docker takes both, ``name:tag@sha256:…``, and then pulls by the digest alone. The protocol
is that of the OCI distribution specification, with the challenge that Docker's registries describe ("token authentication").
"""

import asyncio
import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

_IMAGE = re.compile(
    r"(?P<before>^(?:ARG PYTHON_IMAGE=| *image: ))(?P<reference>(?!owdd)[^\s@]+:[^\s@]+)(?:@sha256:[0-9a-f]{64})?$",
    re.MULTILINE,
)
_HUB = "registry-1.docker.io"
# An index first: its digest is that of the image for every platform.
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class DigestUnknownError(Exception):
    """A registry does not name the digest of a tag; the message says which registry, and why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image as Docker names it, with what Docker leaves out filled in."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """``text`` without a digest: ``[host[:port]/]path:tag``."""
        name, _, tag = text.rpartition(":")
        host, slash, path = name.partition("/")
        if slash and ("." in host or ":" in host or host == "localhost"):
            return cls(host, path, tag)
        return cls(_HUB, name if slash else f"library/{name}", tag)

    @property
    def url(self) -> str:
        """Of its manifest. As for Docker, a registry of this machine needs no TLS."""
        local = self.registry.partition(":")[0] in ("localhost", "127.0.0.1")
        return f"{'http' if local else 'https'}://{self.registry}/v2/{self.repository}/manifests/{self.tag}"


async def digest(http: httpx.AsyncClient, reference: Reference) -> str:
    """The digest, ``sha256:…``, of what the registry gives for the tag.

    Raises:
        DigestUnknownError: the registry cannot be reached, refuses, or names another digest than its answer has.
    """
    try:
        headers = {"Accept": ", ".join(_KINDS)}
        answer = await http.get(reference.url, headers=headers)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            headers["Authorization"] = f"Bearer {await _token(http, answer)}"
            answer = await http.get(reference.url, headers=headers)
        answer.raise_for_status()
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise DigestUnknownError(f"{reference.url}: {error or type(error).__name__}") from error
    found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if answer.headers.get("Docker-Content-Digest", found) != found:
        raise DigestUnknownError(f"{reference.url}: the manifest is not the one that its digest names")
    return found


async def _token(http: httpx.AsyncClient, refusal: httpx.Response) -> str:
    """What the registry's own service gives to anybody for this repository."""
    challenge = dict(_CHALLENGE.findall(refusal.headers["WWW-Authenticate"]))
    answer = await http.get(challenge.pop("realm"), params=challenge)
    answer.raise_for_status()
    given = answer.json()
    return str(given.get("token") or given["access_token"])


async def pin(files: Iterable[Path]) -> dict[str, str]:
    """Write the digest behind each third party's image; those images with their digests. Without all of them it writes nothing.

    Raises:
        DigestUnknownError: one is not known.
    """
    texts = {file: file.read_text("utf-8") for file in files}
    names = sorted({found["reference"] for text in texts.values() for found in _IMAGE.finditer(text)})
    async with httpx.AsyncClient(follow_redirects=True, timeout=30) as http:
        digests = dict(zip(names, [await digest(http, Reference.parse(name)) for name in names], strict=True))

    def pinned(found: re.Match[str]) -> str:
        return f"{found['before']}{found['reference']}@{digests[found['reference']]}"

    for file, text in texts.items():
        file.write_text(_IMAGE.sub(pinned, text), "utf-8")
    return digests


def main() -> None:
    """Pin the images in the files that are named."""
    try:
        for name, found in asyncio.run(pin(map(Path, sys.argv[1:]))).items():
            sys.stdout.write(f"{name}@{found}\n")
    except DigestUnknownError as error:
        sys.exit(f"error: {error}. Nothing was written; try again where the registries can be reached")


if __name__ == "__main__":
    main()
