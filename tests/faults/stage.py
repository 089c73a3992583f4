"""The gateway over four faultds: what a client gets while one of them is faulty, and what that cost."""

import asyncio
import contextlib
import io
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import structlog
from pydantic import SecretStr
from tests.faults.faultd import CANARY, Fault, Faultd, OnAccept, nothing_wrong
from tests.test_cancel import open_sockets, soon

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import CacheSettings, ProviderSettings, ServerSettings, Settings
from syncgraph.telemetry import logs
from syncgraph.upstream import transport

KINDS = list(sandboxes.SANDBOXES)
NOW = datetime(2026, 11, 22, 9, 41, 7, tzinfo=UTC)
ATTEMPT_S, OPERATION_S = 2.0, 5.0
OVERSHOOT_S = 0.1
"""Of a deadline, and of a time that the matrix gives."""
PATIENCE_S = 30
"""For what happens at once unless something is broken."""

Connect = Callable[[ProviderSettings], httpx2.AsyncBaseTransport]

PARTS = (
    "{%s}" % "".join(f'{kind}: provider(name: "{kind}") {{ ...P }} ' for kind in KINDS)  # noqa: UP031  # braces
    + """
fragment P on Provider {
  connectors(first: 6) {
    nodes { id externalId name sourceType status rawStatus createdAt }
    sources { status coverage code upstreamCalls error { code message httpStatus retryable retryAfter } }
  }
}
"""
)
"""One operation that reads each provider's connectors: one call each."""
HEALTH = "{ providers { name health { status lastError { code message } } } }"


@dataclass
class Asked:
    """One operation's answer. ``took_s``: without the time in which this process was not given a core.

    ``between``: by the gateway's clock.
    """

    text: str
    body: Any
    took_s: float
    calls: Mapping[str, int]
    between: tuple[datetime, datetime]

    def part(self, kind: str) -> Any:
        return self.body["data"][kind]

    def source(self, kind: str) -> Any:
        """What the one provider is said to have contributed."""
        (source,) = self.part(kind)["connectors"]["sources"]
        return source

    def codes(self) -> set[tuple[str, str]]:
        """Of all errors: whose, and which."""
        errors = self.body.get("errors") or ()
        return {(one["extensions"].get("provider", ""), one["extensions"]["code"]) for one in errors}


@dataclass
class Counting(httpx2.AsyncBaseTransport):
    """The wire to one provider, counted."""

    wire: httpx2.AsyncBaseTransport
    calls: int = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        return await self.wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self.wire.aclose()


@dataclass
class Stage:
    """The gateway and its providers while they run. ``victim``: which one is faulty. ``skew``: of the gateway's clock.

    ``begun``: operations so far.
    """

    victim: str
    servers: Mapping[str, Faultd]
    wires: dict[str, Counting] = field(default_factory=dict)
    log: io.StringIO = field(default_factory=io.StringIO)
    skew: timedelta = timedelta()
    begun: int = 0
    _started: float = field(default_factory=time.monotonic)
    _http: httpx2.AsyncClient | None = None

    @property
    def server(self) -> Faultd:
        return self.servers[self.victim]

    def now(self) -> datetime:
        """By the gateway's clock."""
        return NOW + self.skew + timedelta(seconds=time.monotonic() - self._started)

    async def ask(self, query: str = PARTS, *, max_age_s: int | None = None, **variables: Any) -> Asked:
        assert self._http is not None
        self.begun += 1
        before, began = {kind: wire.calls for kind, wire in self.wires.items()}, self.now()
        with own_time() as clock:
            answer = await self._http.post(
                "/graphql",
                json={"query": query, "variables": variables},
                headers={} if max_age_s is None else {"cache-control": f"max-age={max_age_s}"},
            )
        assert answer.status_code == 200, answer.text
        calls = {kind: wire.calls - before[kind] for kind, wire in self.wires.items()}
        return Asked(
            f"{answer.headers}\n{answer.text}",
            msgspec.json.decode(answer.content),
            clock.took_s,
            calls,
            (began, self.now()),
        )


@dataclass
class OwnTime:
    """``took_s``: without the time in which this thread could have gone on and other processes had the cores."""

    took_s: float = 0.0


@contextlib.contextmanager
def own_time() -> Iterator[OwnTime]:
    """Measures a piece of work as if this process were alone on the machine."""
    clock = OwnTime()
    began, waited_s = time.perf_counter(), waited_for_a_core_s()
    try:
        yield clock
    finally:
        clock.took_s = time.perf_counter() - began - (waited_for_a_core_s() - waited_s)


def waited_for_a_core_s() -> float:
    """Since the thread began, as Linux counts it; 0 where nobody does."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except OSError:
        return 0.0


def credential_of(kind: str) -> str:
    return f"{CANARY}-{kind}-credential-Zx81q/Q0+pLm"


NOTHING_KEPT = CacheSettings(max_bytes=0, stale_while_revalidate_s=0.0, stale_if_error_s=0.0)


def settings_of(
    addresses: Mapping[str, str],
    cache: CacheSettings,
    *,
    attempt_s: float,
    only: Mapping[str, Mapping[str, object]],
) -> Settings:
    """The sandboxes' settings with the matrix's deadlines; ``only``: further changes, by kind."""
    configured = sandboxes.settings(
        server=ServerSettings(operation_timeout_s=OPERATION_S / ATTEMPT_S * attempt_s, max_upstream_calls=200)
    )
    providers = {
        kind: its.model_copy(
            update={
                "base_url": addresses[kind],
                "credential": SecretStr(credential_of(kind)),
                "attempt_timeout_s": attempt_s,
                # Of the others all the time there is: a busy machine is not what is tested.
                **({} if kind in only else {"connect_timeout_s": attempt_s}),
                **only.get(kind, {}),
            }
        )
        for kind, its in configured.providers.items()
    }
    return replace(configured, providers=providers, cache=cache)


@asynccontextmanager
async def staged(
    victim: str,
    *,
    fault: Fault = nothing_wrong,
    on_accept: OnAccept | None = None,
    tls: ssl.SSLContext | None = None,
    base_url: str | None = None,
    connect: Connect = transport.connect,
    cache: CacheSettings = NOTHING_KEPT,
    attempt_s: float = ATTEMPT_S,
    **changes: object,
) -> AsyncIterator[Stage]:
    """``base_url``, ``tls``, ``connect``, ``changes`` (of settings): the victim's."""
    before = Left.now()
    async with AsyncExitStack() as stack:
        servers = {kind: await stack.enter_async_context(_serving(kind, victim, tls)) for kind in KINDS}
        servers[victim].fault, servers[victim].on_accept = fault, on_accept
        addresses = {kind: f"http://127.0.0.1:{its.port}{its.prefix}" for kind, its in servers.items()}
        if base_url is not None:
            addresses[victim] = base_url.format(port=servers[victim].port, prefix=servers[victim].prefix)
        stage = Stage(victim, servers)
        stack.enter_context(_logged(stage.log))

        def counted(its: ProviderSettings) -> httpx2.AsyncBaseTransport:
            wire = (connect if its.kind == victim else transport.connect)(its)
            stage.wires[its.kind] = Counting(wire)
            return stage.wires[its.kind]

        app = create_app(
            settings_of(addresses, cache, attempt_s=attempt_s, only={victim: changes}),
            connect=counted,
            clock=stage.now,
        )
        await stack.enter_async_context(app.router.lifespan_context(app))
        stage._http = await stack.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app), base_url="http://gateway", timeout=PATIENCE_S
            )
        )
        yield stage
        await stage.ask(HEALTH)
        assert CANARY not in stage.log.getvalue(), stage.log.getvalue()
    await before.until_again()


@asynccontextmanager
async def _serving(kind: str, victim: str, tls: ssl.SSLContext | None) -> AsyncIterator[Faultd]:
    sandbox = sandboxes.SANDBOXES[kind]
    app = sandbox.app(clock=lambda: NOW, contract=sandboxes.default_contract(kind))
    faultd = Faultd(app, prefix=f"/{CANARY}-{kind}-path", secrets={credential_of(kind): sandbox.KEY})
    async with faultd.listening(tls if kind == victim else None):
        yield faultd


@contextlib.contextmanager
def _logged(into: io.StringIO) -> Iterator[None]:
    """All logs, as the product writes them, and everything that a library would say."""
    handler = logging.StreamHandler(into)
    root = logging.getLogger()
    root.addHandler(handler)
    with contextlib.redirect_stderr(into):
        logs.configure(level="debug")
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.removeHandler(handler)


@dataclass(frozen=True)
class Left:
    """What a process holds: none of it may grow over a cell."""

    tasks: int
    sockets: int

    @classmethod
    def now(cls) -> "Left":
        return cls(len(asyncio.all_tasks()), open_sockets())

    async def until_again(self) -> None:
        """Until there is no more than this."""
        await soon(
            lambda: Left.now().tasks <= self.tasks and Left.now().sockets <= self.sockets,
            or_say=lambda: f"{Left.now()}, {self} before: {asyncio.all_tasks()}",
        )


_healthy: dict[str, Asked] = {}


async def healthy(query: str = PARTS) -> Asked:
    """The answer while nothing is wrong; read once."""
    if query not in _healthy:
        async with staged(KINDS[0]) as stage:
            _healthy[query] = await stage.ask(query)
    return _healthy[query]


async def assert_others_unharmed(asked: Asked, victim: str) -> None:
    """I2, I7, I8 and the deadline."""
    undisturbed = await healthy()
    for kind in KINDS:
        if kind != victim:
            assert asked.part(kind) == undisturbed.part(kind)
            assert asked.calls[kind] == undisturbed.calls[kind]
    assert {whose for whose, _ in asked.codes()} <= {victim}
    assert CANARY not in asked.text, asked.text
    assert asked.took_s <= OPERATION_S + OVERSHOOT_S


async def suffers(
    victim: str,
    codes: str | Sequence[str],
    *,
    within_s: float,
    calls: int = 1,
    warm: bool = False,
    **how: Any,
) -> Asked:
    """One operation while the victim commits a fault: the code it gets, in which time, for how many calls.

    ``warm``: a good answer came before, on a connection that is still open.
    """
    expected = {codes} if isinstance(codes, str) else set(codes)
    fault = how.pop("fault", nothing_wrong)
    async with staged(victim, fault=nothing_wrong if warm else fault, **how) as stage:
        if warm:
            await stage.ask()
            stage.server.fault = fault
        asked = await stage.ask()
        await assert_others_unharmed(asked, victim)
        source, rows = asked.source(victim), asked.part(victim)["connectors"]["nodes"]
        assert (source["status"], rows) == ("FAILED", []), asked.part(victim)
        assert source["code"] in expected
        assert asked.codes() == {(victim, source["code"])}
        assert asked.calls[victim] == calls
        assert asked.took_s <= within_s + OVERSHOOT_S, f"{asked.took_s} s"
    return asked


async def is_unharmed(victim: str, *, within_s: float = OPERATION_S, calls: int = 1, **how: Any) -> Asked:
    """One operation during a fault that nobody may notice."""
    undisturbed = await healthy()
    async with staged(victim, **how) as stage:
        asked = await stage.ask()
        await assert_others_unharmed(asked, victim)
        assert asked.part(victim)["connectors"]["nodes"] == undisturbed.part(victim)["connectors"]["nodes"]
        assert asked.source(victim)["status"] == "OK"
        assert asked.calls[victim] == calls
        assert asked.took_s <= within_s + OVERSHOOT_S, f"{asked.took_s} s"
    return asked
