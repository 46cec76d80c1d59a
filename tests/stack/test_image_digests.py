"""``make digests`` against a registry of our own, which asks for a token as Docker's do."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from testkit.image_digests import DigestUnknownError, Reference, pin
from tests.served import served
from tests.stack.conftest import COMPOSE_FILE, ROOT

FILES = (ROOT / "Dockerfile", COMPOSE_FILE)
PINNED = re.compile("@sha256:[0-9a-f]{64}")
THEIRS = re.compile(r"^(?:ARG PYTHON_IMAGE=| +image: )(?!owdd)([^\s@]+)", re.MULTILINE)


def manifest(name: str, build: int = 1) -> bytes:
    return f'{{"schemaVersion": 2, "of": "{name}", "build": {build}}}'.encode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def registry(builds: list[int], named: Callable[[bytes], str] = digest_of) -> Starlette:
    """Has the last of ``builds`` of every image, but none called ``gone``; ``named`` is the digest that it gives with a manifest."""

    async def get(request: Request) -> Response:
        repository, tag = request.path_params["repository"], request.path_params["tag"]
        scope = f"repository:{repository}:pull"
        if request.headers.get("Authorization") != f"Bearer for {scope}":
            realm = request.url.replace(path="/token", query="")
            return Response(
                status_code=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="us",scope="{scope}"'}
            )
        assert "application/vnd.oci.image.index.v1+json" in request.headers["Accept"]
        if repository.endswith("gone"):
            return Response(status_code=404)
        body = manifest(f"{repository}:{tag}", builds[-1])
        return Response(body, headers={"Docker-Content-Digest": named(body)})

    async def token(request: Request) -> Response:
        assert request.query_params["service"] == "us"
        return JSONResponse({"token": f"for {request.query_params['scope']}"})

    return Starlette(routes=[Route("/v2/{repository:path}/manifests/{tag}", get), Route("/token", token)])


@pytest.fixture
def copies(tmp_path: Path) -> list[Path]:
    return [Path(shutil.copy(file, tmp_path)) for file in FILES]


def moved(files: list[Path], port: int) -> list[str]:
    """The images of ``files``, which are changed to name them in a registry on ``port``."""
    names = [name for file in files for name in THEIRS.findall(file.read_text())]
    for file in files:
        file.write_text(THEIRS.sub(lambda found: found[0].replace(found[1], f"127.0.0.1:{port}/{found[1]}"), file.read_text()))
    return names


async def test_each_image_of_others_gets_the_digest_that_its_tag_has_now(copies: list[Path]) -> None:
    unpinned = PINNED.sub("", "".join(file.read_text() for file in copies))
    builds = [1]
    async with served(registry(builds)) as port:
        names = moved(copies, port)
        assert {name.partition(":")[0] for name in names} >= {"python", "apache/kafka", "mcr.microsoft.com/mssql/server"}
        for build in (1, 2):
            builds.append(build)
            digests = await pin(copies)
            written = "".join(file.read_text() for file in copies).replace(f"127.0.0.1:{port}/", "")
            for name in names:
                expected = digest_of(manifest(name, build))
                assert digests[f"127.0.0.1:{port}/{name}"] == expected
                assert f"{name}@{expected}\n" in written
            assert PINNED.sub("", written) == unpinned, "nothing else is changed"


async def test_without_all_of_them_nothing_is_written(copies: list[Path]) -> None:
    copies[0].write_text("ARG PYTHON_IMAGE=gone:1.0\n")
    async with served(registry([1])) as port:
        moved(copies, port)
        before = [file.read_text() for file in copies]
        with pytest.raises(DigestUnknownError, match=r"gone/manifests/1\.0.*404"):
            await pin(copies)
    assert [file.read_text() for file in copies] == before


async def test_a_manifest_that_is_not_what_its_digest_says_is_refused(copies: list[Path]) -> None:
    async with served(registry([1], named=lambda _: digest_of(b"another"))) as port:
        moved(copies, port)
        with pytest.raises(DigestUnknownError, match="not the one that its digest names"):
            await pin(copies)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("python:3.12.13-slim-bookworm", "https://registry-1.docker.io/v2/library/python/manifests/3.12.13-slim-bookworm"),
        ("apache/kafka:4.3.0", "https://registry-1.docker.io/v2/apache/kafka/manifests/4.3.0"),
        ("quay.io/debezium/connect:3.6.1.Final", "https://quay.io/v2/debezium/connect/manifests/3.6.1.Final"),
        ("localhost:5000/own:1", "http://localhost:5000/v2/own/manifests/1"),
    ],
)
def test_an_image_is_asked_for_where_docker_would_ask(text: str, url: str) -> None:
    assert Reference.parse(text).url == url
