"""An ASGI application on a socket until the process is asked to stop, and what a person is told about it."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from syncgraph.config import ProviderSettings, ServerSettings, Settings
from syncgraph.http import deadlines
from syncgraph.http.drain import Drain
from syncgraph.http.probes import OpsPort
from syncgraph.http.ws import MAX_BYTES

LAST_WORDS_S = 0.5
"""For the answers to what was cut off, until the connections are."""

MAX_DESCRIPTORS = 65_536
"""Of the process, where the system allows as many."""

WEBSOCKETS: Mapping[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": MAX_BYTES,
    "ws_per_message_deflate": False,  # each idle socket would hold its windows
}
"""How uvicorn speaks WebSocket."""

EXAMPLE = "{ connectors(first: 5) { nodes { name status provider { name } } sources { provider { name } status } } }"


def serve(
    app: ASGIApp, settings: ServerSettings, announce: Callable[[str], None], *, drain: Drain | None = None
) -> None:
    """Until the process is asked to stop. Raises OSError when a port cannot be had.

    ``drain``: what tells ``app`` of it; without one there is no load balancer to wait for either.
    """
    listeners = [_listen(settings.host, settings.port)]
    if settings.ops_port is not None:
        listeners.append(_listen(settings.host, settings.ops_port))
        app = OpsPort(app, listeners[1].getsockname()[1])
    config = uvicorn.Config(
        app,
        http=deadlines.protocol(settings),
        timeout_keep_alive=settings.keep_alive_timeout_s,
        access_log=False,
        log_level="warning",
        server_header=False,
        **WEBSOCKETS,
    )
    # What is there by now stays as long as the process. Walking it again took the collector 60 ms at a time.
    gc.collect()
    gc.freeze()
    _use_more_descriptors()
    for asked in (signal.SIGTERM, signal.SIGINT):
        # Until the server listens to them. An exception could be lost in whatever runs just then.
        signal.signal(asked, lambda *_: os._exit(0))
    announce(f"http://{_shown(settings.host)}:{listeners[0].getsockname()[1]}")
    _Server(config, settings, drain).run(sockets=listeners)


def _use_more_descriptors() -> None:
    """As many as the process may have: each connection takes one, and the 1,024 that are usual are gone before anything else."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError):  # some systems name no limit and have one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Server(uvicorn.Server):
    """Stops as a load balancer needs it: no longer ready, then deaf to new clients, then done, and never later than said.

    Asked by SIGTERM. A person's Ctrl-C skips the wait for the load balancer; asked twice, it ends at once.
    """

    def __init__(self, config: uvicorn.Config, settings: ServerSettings, drain: Drain | None) -> None:
        super().__init__(config)
        self._delay_s = 0.0 if drain is None else settings.drain_delay_s
        self._timeout_s = settings.shutdown_timeout_s
        self._drain = drain or Drain()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        asyncio.get_running_loop().call_soon_threadsafe(self._stop, sig)

    def _stop(self, sig: int) -> None:
        if self._drain.has_begun:
            self._end()
            return
        self._drain.begin()
        loop = asyncio.get_running_loop()
        loop.call_later(self._delay_s if sig == signal.SIGTERM else 0, self._stop_accepting)
        loop.call_later(self._timeout_s, self._end)

    def _stop_accepting(self) -> None:
        self.should_exit = True
        self._drain.end_events()

    def _end(self) -> None:
        self._stop_accepting()
        self._drain.cut()
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self._hang_up)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


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
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
