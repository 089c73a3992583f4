"""A Starlette app that answers as Outlit documents, under the contract of either time."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncgraph.providers.outlit import sandbox_data as data
from syncgraph.providers.outlit.settings import SEED, TODAY

KEY = "ok_sandbox_7f3c9b1e5d2a48"

ALLOWANCE = 120
"""API calls per minute of the clock that the plan includes, with ``limits``."""

Clock: TypeAlias = Callable[[], datetime]
Handle: TypeAlias = Callable[[Request], Awaitable[Response]]


def settings(contract: str) -> dict[str, object]:
    return {"kind": "outlit", "contract": contract}


def app(*, clock: Clock, contract: str, limits: bool = False, runs: int = 0) -> Starlette:
    """``runs`` says nothing here: Outlit publishes none."""
    del runs
    sandbox = {SEED: _Rest, TODAY: _Gateway}[contract](clock, _Allowance(clock) if limits else None)
    return Starlette(routes=sandbox.routes())


class _Allowance:
    """Counts the calls of the current minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = clock().replace(second=0, microsecond=0)
        self._used = 0

    def exceeded_until(self) -> datetime | None:
        """Takes one call; the end of the minute once there are none left."""
        minute = self._clock().replace(second=0, microsecond=0)
        self._used = self._used + 1 if minute == self._minute else 1
        self._minute = minute
        return minute + timedelta(minutes=1) if self._used > ALLOWANCE else None


class _Rest:
    """The REST routes of 2026-06-23 to 2026-07-29; the tool gateway has customer tools only, and refuses ours."""

    def __init__(self, clock: Clock, allowance: _Allowance | None) -> None:
        self._clock = clock
        self._allowance = allowance

    def routes(self) -> list[Route]:
        return [
            Route("/api/validate-api-key", self.validate, methods=["POST"]),
            Route("/api/integrations", self._guarded(self.integrations)),
            Route("/api/integrations/sync-status", self._guarded(self.sync_status)),
            Route("/api/tools/call", self._guarded(self.call), methods=["POST"]),
        ]

    async def validate(self, request: Request) -> Response:
        if not _is_authorised(request):
            return JSONResponse({"valid": False, "error": "Invalid credentials"}, 401)
        return JSONResponse(self._key_context())

    async def integrations(self, request: Request) -> Response:
        linked_only = request.query_params.get("connectedOnly") == "true"
        rows = [its for its in data.INTEGRATIONS if its.connected or not linked_only]
        return JSONResponse({"items": [data.listed(its, self._clock()) for its in rows]})

    async def sync_status(self, request: Request) -> Response:
        its = data.find(request.query_params.get("provider", ""))
        if its is None:
            return self._invalid("Invalid request", "provider")
        return JSONResponse(data.sync_status(its, self._clock()))

    async def call(self, _: Request) -> Response:
        return self._invalid("Invalid tool call", "tool")

    def _key_context(self) -> dict[str, object]:
        return {"valid": True, "organizationId": data.ORGANISATION, "createdById": "user_maria"}

    def _unauthorised(self) -> Response:
        return JSONResponse({"error": "Invalid credentials"}, 401)

    def _exhausted(self, until: datetime) -> Response:
        plan = {"plan": "starter", "feature": "api_calls", "resetAt": _milliseconds(until)}
        return JSONResponse({"error": "API call limit exceeded", "code": "api_limit_exceeded", **plan}, 429)

    def _invalid(self, error: str, field: str) -> Response:
        details = [{"path": [field], "message": "Invalid option"}]
        return JSONResponse({"error": error, "details": details}, 400)

    def _guarded(self, handle: Handle) -> Handle:
        async def guarded(request: Request) -> Response:
            if not _is_authorised(request):
                return self._unauthorised()
            until = self._allowance.exceeded_until() if self._allowance else None
            return self._exhausted(until) if until else await handle(request)

        return guarded


class _Gateway(_Rest):
    """The tool gateway since 2026-08-09; there are no other routes."""

    def routes(self) -> list[Route]:
        return [
            Route("/api/validate-api-key", self.validate, methods=["POST"]),
            Route("/api/tools/call", self._guarded(self.call), methods=["POST"]),
        ]

    async def call(self, request: Request) -> Response:
        try:
            call = msgspec.json.decode(await request.body())
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return _refused(400, "INVALID_JSON", "The request body is not valid JSON")
        if not isinstance(call, dict) or call.get("tool") != "outlit_get_integration_status":
            return _refused(400, "INVALID_TOOL_CALL", "Unknown tool")
        return self._readiness(call.get("input", {}))

    def _readiness(self, given: object) -> Response:
        rows = [data.ready(its) for its in (*data.INTEGRATIONS, *data.SINCE_GATEWAY)]
        if not isinstance(given, dict) or given.keys() - {"provider"}:
            return _refused(400, "INVALID_TOOL_INPUT", "Unrecognized key in input")
        if "provider" in given:
            rows = [row for row in rows if row["provider"] == given["provider"]]
        if not rows:
            return _refused(400, "INVALID_TOOL_INPUT", "Invalid option for provider")
        return JSONResponse({"integrations": rows})

    def _key_context(self) -> dict[str, object]:
        return {**super()._key_context(), "authorization": {"grants": ["customer_intelligence:read"]}}

    def _unauthorised(self) -> Response:
        return _refused(401, "INVALID_CREDENTIALS", "Invalid credentials")

    def _exhausted(self, until: datetime) -> Response:
        plan = {"plan": "starter", "feature": "api_calls", "resetAt": _milliseconds(until)}
        return _refused(429, "plan_api_limit_exceeded", "API call limit exceeded", **plan)


def _is_authorised(request: Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {KEY}"


def _refused(status: int, code: str, message: str, **more: object) -> Response:
    request_id = f"req_{hashlib.sha256(message.encode()).hexdigest()[:16]}"
    said = {"code": code, "message": message, "retryable": False, "requestId": request_id, **more}
    return JSONResponse(said, status)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
