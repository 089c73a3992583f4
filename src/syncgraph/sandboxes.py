"""All sandboxes: embedded in the gateway, or one of them served over a socket."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import httpx2
from pydantic import SecretStr
from starlette.applications import Starlette

from syncgraph.config import ProviderSettings, ServerSettings, Settings
from syncgraph.providers import PROVIDERS
from syncgraph.providers.airweave import sandbox as airweave
from syncgraph.providers.den import sandbox as den
from syncgraph.providers.outlit import sandbox as outlit
from syncgraph.providers.timbal import sandbox as timbal

Clock = Callable[[], datetime]


class Sandbox(Protocol):
    """A provider's ``sandbox.py``."""

    KEY: str

    def settings(self, contract: str, /) -> dict[str, object]:
        """The configuration that reaches it, without base_url and credential."""
        ...

    def app(self, *, clock: Clock, contract: str, limits: bool = ..., runs: int = ...) -> Starlette:
        """Answers as the provider does, as a function of the clock."""
        ...


SANDBOXES: Mapping[str, Sandbox] = {"den": den, "timbal": timbal, "outlit": outlit, "airweave": airweave}


def settings(contracts: Mapping[str, str] | None = None, *, server: ServerSettings | None = None) -> Settings:
    """One provider of each kind, named as its kind; ``contracts`` by kind, else each kind's default."""
    chosen = {kind: (contracts or {}).get(kind, default_contract(kind)) for kind in SANDBOXES}
    return Settings(
        server or ServerSettings(), {kind: _settings(kind, contract) for kind, contract in chosen.items()}
    )


def connect(clock: Clock) -> Callable[[ProviderSettings], httpx2.AsyncBaseTransport]:
    """Reaches the sandboxes inside this process, without a socket."""
    turn = asyncio.Lock()
    return lambda its: _Embedded(SANDBOXES[its.kind].app(clock=clock, contract=its.contract), turn)


class _Embedded(httpx2.ASGITransport):
    """Answers in turn, and lets the event loop turn in between: it is the gateway's own, which serves others meanwhile."""

    def __init__(self, app: Starlette, turn: asyncio.Lock) -> None:
        super().__init__(app)
        self._turn = turn

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        async with self._turn:
            await asyncio.sleep(0)
            return await super().handle_async_request(request)


def default_contract(kind: str) -> str:
    return str(PROVIDERS[kind].settings.model_fields["contract"].default)


def _settings(kind: str, contract: str) -> ProviderSettings:
    sandbox = SANDBOXES[kind]
    table = {
        **sandbox.settings(contract),
        "kind": kind,
        "contract": contract,
        "base_url": f"https://{kind}.sandbox.invalid",
        "credential": SecretStr(sandbox.KEY),
    }
    model: type[ProviderSettings] = PROVIDERS[kind].settings
    return model.model_validate(table)
