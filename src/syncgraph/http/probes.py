"""Is the process alive, and does it want requests? For orchestrators and load balancers.

No provider is asked, and none counts: one bad provider must not take all replicas out. The configuration is loaded before
the process listens.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from syncgraph.http.admission import Admission
from syncgraph.http.drain import Drain

LIVE, READY = "/livez", "/readyz"


def routes(drain: Drain, admission: Admission) -> list[Route]:
    async def live(_: Request) -> Response:  # noqa: RUF029  # on the event loop: that it answers is the answer
        return _answer("alive", [])

    async def ready(_: Request) -> Response:  # noqa: RUF029  # as above
        reasons = {"draining": drain.has_begun, "overloaded": admission.is_overloaded}
        return _answer("ready", [name for name, holds in reasons.items() if holds])

    return [Route(LIVE, live), Route(READY, ready)]


class OpsPort:
    """``app``, whose probes are on ``port`` alone, and nothing else there."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port
        self._nothing = Router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app if scope["type"] == "lifespan" or self._is_here(scope) else self._nothing
        await app(scope, receive, send)

    def _is_here(self, scope: Scope) -> bool:
        _, port = scope["server"]
        return bool(port == self._port) == (scope["path"] in {LIVE, READY})


def _answer(status: str, reasons: list[str]) -> Response:
    return JSONResponse(
        {"status": f"not {status}" if reasons else status, "reasons": reasons},
        503 if reasons else 200,
        headers={"cache-control": "no-store"},
    )
