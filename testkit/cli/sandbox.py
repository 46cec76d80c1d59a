"""`owdd sandbox`: run the Dotdigital sandbox on this machine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from streams.cli import output
from streams.core.errors import ConfigurationError
from streams.settings import Settings, load_settings
from testkit.sandbox import ApiError, create_app, load_config

_SHUTDOWN_SECONDS = 2

_DEFAULT_PORT = int(Settings.model_fields["dotdigital_url"].default.rpartition(":")[2])
"""Where the other commands look for Dotdigital unless they are given an address."""


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = _DEFAULT_PORT,
    user: Annotated[
        str, typer.Option(envvar="OWDD_DOTDIGITAL_USER", help="API user to accept.")
    ] = "sandbox@apiconnector.example",
    port_file: Annotated[Path | None, typer.Option(help="File to write the sandbox's URL to.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Directory that keeps the account between runs.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="YAML file with the account's initial content, budgets and faults."),
    ] = None,
) -> None:
    """Run an offline Dotdigital for the bridge.

    The password is the setting OWDD_DOTDIGITAL_PASSWORD (a variable or a secret file), never on the command line, where other
    users could read it.
    """
    password = load_settings().dotdigital_password.get_secret_value()
    if not password.strip():
        remedy = "Set it to the password that the sandbox must accept."
        raise ConfigurationError("is not set", where="OWDD_DOTDIGITAL_PASSWORD", remedy=remedy)
    try:
        app = create_app(load_config(config, user, password), state_dir=state_dir)
    except (ValueError, ApiError) as error:
        reason = error.body["message"] if isinstance(error, ApiError) else error
        raise ConfigurationError(f"the sandbox cannot be set up: {reason}") from error
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            # Admin calls are let in by the peer's address, which no header may change.
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with _listening(host, port, family) as listener:
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        if port_file is not None:
            _publish(port_file, url)
        output.line(url)
        server.run([listener])


def _listening(host: str, port: int, family: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        remedy = "Choose another with --host and --port; --port 0 takes a free one"
        raise ConfigurationError(f"cannot listen: {error.strerror}", where=f"{host}:{port}", remedy=remedy) from None


def _publish(path: Path, url: str) -> None:
    """Write `url` so that a reader who waits for the file never sees half of it."""
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_text(url + "\n", encoding="utf-8")
    draft.replace(path)
