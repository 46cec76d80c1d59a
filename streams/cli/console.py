"""``owdd console``: serve the console."""

from functools import partial
from typing import Annotated

import typer

from streams.cli.common import load
from streams.core.errors import ConfigurationError
from streams.observability.logs import configure


def console(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: OWDD_CONSOLE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port. Default: OWDD_CONSOLE_PORT.")] = None,
) -> None:
    """Serve the console: is the data right, and why is a contact as it is?

    It reads and changes nothing. People sign in with OWDD_CONSOLE_TOKEN, or through a proxy (docs/console.md). It needs
    OWDD_WORKERS and OWDD_STATE_TOKEN to show contacts. Runs until Ctrl-C or SIGTERM.
    """
    settings, mapping = load()
    configure(settings.log_level, as_json=settings.log_json)
    try:
        import uvicorn  # noqa: PLC0415 - too dear for other commands

        from streams.console.app import create_app  # noqa: PLC0415 - jinja2 is an extra
    except ModuleNotFoundError as error:
        remedy = "Install the extra: pip install 'owdd[console]'"
        raise ConfigurationError(f"{error.name} is not installed", where="owdd console", remedy=remedy) from None
    uvicorn.run(
        # Made inside of the event loop: its clients of Kafka ask for it.
        partial(create_app, settings, mapping),
        factory=True,
        host=settings.console_host if host is None else host,
        port=settings.console_port if port is None else port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
