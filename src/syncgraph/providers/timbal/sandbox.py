"""A stand-in for Timbal's API, as its OpenAPI documents of 2026-07-03 and 2026-07-28 describe it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice
from math import ceil

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncgraph.providers.timbal.sandbox_data import (
    BOXES,
    DOCUMENTS,
    KNOWLEDGE_BASE,
    ORGANISATION,
    REFUSED,
    TABLES,
    TAIL,
    Box,
    Run,
    Table,
    history,
    instant,
    totals,
)

KEY = "t2_sandbox4acme8key2for6local0use"
RECENT = 10
"""Runs that a sync's detail shows."""
LIMIT, WINDOW = 120, timedelta(minutes=1)
"""Calls that one user may make in one window."""
NEW = ("key_columns", "consecutive_failures", "disabled_reason")
"""What a sync did not have on 2026-07-03."""
CONTRACTS = ("sync-detail", "connectors")

Handler = Callable[[Request], Awaitable[Response]]


def settings(contract: str) -> dict[str, object]:
    """The configuration that reaches the sandbox."""
    table: dict[str, object] = {"organisation": ORGANISATION}
    if contract == "sync-detail":
        table["syncs"] = [f"{its.box.id}/{its.id}" for its in TABLES]
    return table


def app(*, clock: Callable[[], datetime], contract: str, limits: bool = False, runs: int = 60) -> Starlette:
    """``runs``: how many jobs the list of jobs shows at most."""
    if contract not in CONTRACTS:
        raise ValueError(f"contract: one of {', '.join(CONTRACTS)}")
    sandbox = Sandbox(clock, contract, runs, Limiter(clock) if limits else None)
    return Starlette(routes=sandbox.routes(), exception_handlers={404: _no_route})


async def _no_route(_: Request, __: Exception) -> Response:
    return Response(status_code=404)


def refused(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status, headers)


@dataclass(slots=True)
class Limiter:
    """Timbal's limit per user: a fixed window, told in every answer."""

    clock: Callable[[], datetime]
    used: dict[int, int] = field(default_factory=dict)

    def take(self) -> tuple[bool, dict[str, str]]:
        since = timedelta(seconds=self.clock().timestamp())
        window = since // WINDOW
        used = self.used.get(window, 0) + 1
        self.used = {window: used}
        reset = str(ceil(((window + 1) * WINDOW - since).total_seconds()))
        told = {"Limit": str(LIMIT), "Remaining": str(max(LIMIT - used, 0)), "Reset": reset}
        headers = {
            f"{prefix}-{name}": value
            for prefix in ("RateLimit", "X-RateLimit")
            for name, value in told.items()
        }
        allowed = used <= LIMIT
        return allowed, headers if allowed else {**headers, "Retry-After": reset}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The routes over Acme's data."""

    clock: Callable[[], datetime]
    contract: str
    jobs_shown: int
    limiter: Limiter | None

    def routes(self) -> list[Route]:
        root = "/orgs/{org_id}/connectors"
        paths: dict[str, Handler] = {
            "/me/orgs": self.orgs,
            f"{root}/{{connector_id}}/syncs/{{sync_id}}": self.sync,
        }
        if self.contract == "connectors":
            paths |= {
                root: self.connectors,
                f"{root}/syncs": self.syncs,
                f"{root}/jobs": self.jobs,
                f"{root}/{{connector_id}}": self.connector,
            }
        return [Route(path, self._guarded(handler), methods=["GET"]) for path, handler in paths.items()]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return refused(401, "UNAUTHORIZED", "Missing or invalid API key")
            allowed, headers = self.limiter.take() if self.limiter else (True, {})
            if not allowed:
                return refused(429, "TOO_MANY_REQUESTS", "Rate limit exceeded", headers)
            if request.path_params.get("org_id", ORGANISATION) != ORGANISATION:
                return refused(403, "FORBIDDEN", "You do not have access to this organization", headers)
            response = await handler(request)
            response.headers.update(headers)
            return response

        return guarded

    async def orgs(self, request: Request) -> Response:
        sought = request.query_params.get("q", "")
        acme = {
            "id": ORGANISATION,
            "name": "Acme Distribution",
            "plan": "business",
            "n_projects": 6,
            "role": "admin",
            "created_at": 1_732_630_211_480,
        }
        found = [acme] if sought.lower() in str(acme["name"]).lower() else []
        return JSONResponse({"orgs": found, "next_page_token": None})

    async def connectors(self, _: Request) -> Response:
        return JSONResponse({"connectors": [connector_view(box, self.clock()) for box in BOXES]})

    async def connector(self, request: Request) -> Response:
        wanted = request.path_params["connector_id"]
        box = next((its for its in BOXES if its.id == wanted), None)
        if box is None:
            return refused(404, "NOT_FOUND", "Connector not found")
        return JSONResponse({"connector": connector_view(box, self.clock())})

    async def syncs(self, request: Request) -> Response:
        views = [self._sync_view(table) for table in TABLES if _is_wanted(table, request)]
        return JSONResponse({"syncs": views})

    async def sync(self, request: Request) -> Response:
        wanted = (request.path_params["connector_id"], request.path_params["sync_id"])
        table = next((its for its in TABLES if (its.box.id, its.id) == wanted), None)
        if table is None:
            return refused(404, "NOT_FOUND", "Sync not found")
        now = self.clock()
        recent = [recent_view(its) for its in islice(history(table, now), RECENT)]
        return JSONResponse(
            {"sync": self._sync_view(table), "stats": stats_view(table, now), "recent_runs": recent}
        )

    async def jobs(self, request: Request) -> Response:
        now = self.clock()
        tables = [table for table in (*TABLES, DOCUMENTS) if _is_wanted(table, request)]
        newest = chain.from_iterable(
            ((its, table) for its in islice(history(table, now), self.jobs_shown)) for table in tables
        )
        shown = sorted(newest, key=lambda pair: pair[0].created, reverse=True)[: self.jobs_shown]
        return JSONResponse({"jobs": [job_view(its, table) for its, table in shown]})

    def _sync_view(self, table: Table) -> dict[str, object]:
        view = sync_view(table, self.clock())
        if self.contract == "connectors":
            return view
        old = {name: value for name, value in view.items() if name not in NEW}
        return {**old, "cursor_column": table.cursor or "quoted_on"}  # was required then


def _is_wanted(table: Table, request: Request) -> bool:
    return request.query_params.get("connector_id", table.box.id) == table.box.id


def connector_view(box: Box, now: datetime) -> dict[str, object]:
    lost = box.lost_at(now)
    return {
        "id": box.id,
        "name": box.name,
        "hostname": box.hostname,
        "os": box.os,
        "arch": "x86_64",
        "version": box.version,
        "capabilities": [*(f"source:{source}" for source in box.sources), "extract:snapshot", "kb:local"],
        "connected": lost is None,
        # The socket is on one of two servers, and the balancer sends one to either.
        "online": lost is None and now.second % 2 == 0,
        "enrolled_at": instant(box.enrolled),
        "last_seen_at": instant(lost or now),
    }


def sync_view(table: Table, now: datetime) -> dict[str, object]:
    last = next(history(table, now), None)
    ended = [its for its in islice(history(table, now), 3 * TAIL) if its.finished is not None]
    success = next((its.finished for its in ended if its.state == "completed"), None)
    changed = last.finished or last.created if last else table.created
    return {
        "id": table.id,
        "connector_id": table.box.id,
        "name": table.name,
        "source_kind": table.kind,
        "connection_ref": table.ref,
        "source_schema": table.schema,
        "source_table": table.table,
        "cursor_column": table.cursor,
        "key_columns": list(table.keys),
        "kb_uid": KNOWLEDGE_BASE,
        "dest_table": table.dest,
        "interval_secs": int(table.every.total_seconds()),
        "enabled": table.enabled,
        "disabled_reason": f"disabled after {TAIL} consecutive failures: {REFUSED}"
        if table.disabled
        else None,
        "consecutive_failures": _failures(ended),
        "has_cursor": table.cursor is not None and success is not None,
        "last_run_at": instant(last.created) if last else None,
        "last_state": last.state if last else None,
        "last_success_at": instant(success) if success else None,
        "seconds_since_success": int((now - success).total_seconds()) if success else None,
        "created_at": instant(table.created),
        "updated_at": instant(changed),
    }


def _failures(ended: list[Run]) -> int:
    """Failed runs since the last completed one."""
    since = [its.state for its in ended]
    return since[: since.index("completed") if "completed" in since else None].count("failed")


def stats_view(table: Table, now: datetime) -> dict[str, object]:
    its = totals(table, now)
    return {
        "runs_total": its.runs,
        "runs_completed": its.completed,
        "runs_failed": its.failed,
        "rows_total": its.rows,
    }


def _execution(its: Run) -> dict[str, object]:
    return {
        "state": its.state,
        "rows_emitted": its.rows,
        "rows_per_sec": its.rate,
        "duration_ms": its.worked // timedelta(milliseconds=1) if its.worked is not None else None,
        "message": its.message,
        "created_at": instant(its.created),
        "started_at": instant(its.started) if its.started else None,
        "finished_at": instant(its.finished) if its.finished else None,
    }


def recent_view(its: Run) -> dict[str, object]:
    return {"job_id": its.id, **_execution(its)}


def job_view(its: Run, table: Table) -> dict[str, object]:
    one_off = table is DOCUMENTS
    return {
        "id": its.id,
        "connector_id": table.box.id,
        "sync_id": None if one_off else table.id,
        "kb_uid": KNOWLEDGE_BASE,
        "kind": "fs_copy" if one_off else "extract",
        "dest_table": table.dest,
        "mode": "create" if one_off else "upsert" if table.keys else "replace",
        "updated_at": instant(its.finished or its.started or its.created),
        **_execution(its),
    }
