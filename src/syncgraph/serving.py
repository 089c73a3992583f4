"""An ASGI application on a socket, and what a person is told about it."""

import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette

from syncgraph.config import ProviderSettings, Settings
from syncgraph.http.ws import MAX_BYTES

GRACE_S = 20
"""For requests under way when the process is asked to stop."""

WEBSOCKETS: Mapping[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": MAX_BYTES,
    "ws_per_message_deflate": False,  # each idle socket would hold its windows
}
"""How uvicorn speaks WebSocket."""

EXAMPLE = "{ connectors(first: 5) { nodes { name status provider { name } } sources { provider { name } status } } }"


def serve(app: Starlette, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Until the process is asked to stop. Raises OSError when the port cannot be had."""
    listener = _listen(host, port)
    announce(f"http://{_shown(host)}:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        **WEBSOCKETS,
    )
    # uvicorn raises the signal again when all is answered; asked to stop and stopped is a success.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: sys.exit(0))
    uvicorn.Server(config).run(sockets=[listener])


def welcome(url: str, settings: Settings) -> str:
    names = ", ".join(settings.providers)
    return (
        f"syncgraph serves {names} at {url}\nOpen it in a browser, or paste:\n\n"
        f"  curl -s {url} -H 'content-type: application/json' \\\n    -d '{{\"query\": \"{EXAMPLE}\"}}'\n"
    )


def sandbox_welcome(name: str, url: str, key: str, settings: ProviderSettings) -> str:
    """A configuration to paste."""
    known = set(ProviderSettings.model_fields) - {"kind", "contract"}
    table = settings.model_dump(mode="json", exclude=known, exclude_defaults=True) | {
        "kind": name,
        "contract": settings.contract,
        "base_url": url,
        "credential": f"env:{name.upper()}_KEY",
    }
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in table.items())
    return (
        f"The sandbox of {name} is at {url}\nexport {name.upper()}_KEY={key}\n\n[providers.{name}]\n{lines}\n"
    )


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
