"""Den's API in small: the routes that the adapter and the doctor ask, its quirks included."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncgraph.providers.den import sandbox_data as data
from syncgraph.providers.den import sandbox_events as events
from syncgraph.providers.den import typeid
from syncgraph.providers.den.sandbox_query import (
    EVENT_ENUMS,
    EVENT_IDS,
    INSTANCE_ENUMS,
    TARGET_ENUMS,
    Refused,
    checked,
    id_issues,
    refuse,
)

KEY = "den_SQx7Yb2mKe9TzUwHc4RpAf6NvJd8Lg3Q"
MEMBER_KEY = "den_Mb5rWq8VnZt2XkCy7PsEh4GuJa9Df6Lm"
"""Of a member without a grant on any connector."""
SESSION = "ses-9f2c7d51b8e64a03"
"""An owner's session token, for ``Authorization: Bearer``."""
REQUESTS, REST = 600, timedelta(seconds=60)
DEFAULT_PAGE = 50


def settings(contract: str) -> dict[str, object]:
    """The configuration that reaches it, without base_url and credential."""
    return {"kind": "den", "contract": contract}


def app(*, clock: Callable[[], datetime], contract: str, limits: bool = False, runs: int = 640) -> Starlette:
    """``contract``: what it serves; a server of ``sync-events`` has no other routes and tells of no attempts."""
    den = _Den(clock, with_attempts=contract == "connector-instances", limits=limits, runs=runs)
    routes = [
        Route("/v1/connector-sync-events", den.list_events),
        Route("/v1/connector-sync-events/{id}", den.get_event),
    ]
    if contract == "connector-instances":
        routes += [
            Route("/v1/connector-instances", den.list_instances),
            Route("/v1/connector-instances/{id}", den.get_instance),
            Route("/v1/connector-instances/{id}/targets", den.list_targets),
            Route("/v1/connector-targets/{id}", den.get_target),
            Route("/v1/me/orgs", den.list_organisations),
            Route("/health", _health),
        ]
    served = Starlette(routes=routes, exception_handlers={Refused: _refused, HTTPException: _no_route})
    served.router.redirect_slashes = False
    return served


@dataclass
class _Usage:
    """One key's counter: it starts again only after a rest without an accepted request."""

    accepted: int = 0
    last: datetime | None = None


@dataclass
class _Den:
    clock: Callable[[], datetime]
    with_attempts: bool
    limits: bool
    runs: int
    usage: dict[str, _Usage] = field(default_factory=dict)

    async def list_events(self, request: Request) -> Response:
        sees = self._admit(request)
        asked = checked(request.query_params, enums=EVENT_ENUMS, ids=EVENT_IDS)
        now = self.clock()
        rows, rest = _events_page(self._slots(now) if sees else range(0), asked, now)
        shown = [events.row(its, now, with_attempts=self.with_attempts) for its in rows]
        return _json(request, {"items": shown, "nextCursor": rest})

    async def get_event(self, request: Request) -> Response:
        sees = self._admit(request)
        now = self.clock()
        its = _event_of(_path_id(request, "connectorSyncEventId", "cse"))
        if its is None or its.slot not in self._slots(now):
            raise _missing("connector_sync_event")
        _permit(sees=sees)
        return _json(request, {"item": events.row(its, now, with_attempts=self.with_attempts)})

    async def list_instances(self, request: Request) -> Response:
        sees = self._admit(request)
        asked = checked(request.query_params, enums=INSTANCE_ENUMS)
        listed = [its for its in data.INSTANCES if sees and asked.get("status") in {None, its.status}]
        return _json(request, _page([its.row() for its in listed], asked))

    async def get_instance(self, request: Request) -> Response:
        sees = self._admit(request)
        its = _instance_of(request)
        _permit(sees=sees)
        return _json(request, {"item": its.row()})

    async def list_targets(self, request: Request) -> Response:
        sees = self._admit(request)
        its = _instance_of(request)
        asked = checked(request.query_params, enums=TARGET_ENUMS)
        _permit(sees=sees)
        return _json(request, _page([one.row() for one in data.TARGETS if one.instance is its], asked))

    async def get_target(self, request: Request) -> Response:
        sees = self._admit(request)
        asked = _path_id(request, "connectorTargetId", "ctg")
        its = next((target for target in data.TARGETS if target.id == asked), None)
        if its is None:
            raise _missing("connector_target")
        _permit(sees=sees)
        return _json(request, {"item": its.row()})

    async def list_organisations(self, request: Request) -> Response:
        role = "owner" if self._admit(request) else "member"
        return _json(request, data.organisations(role))

    def _slots(self, now: datetime) -> range:
        newest = data.event_at(now).slot
        return range(newest, newest - self.runs, -1)

    def _admit(self, request: Request) -> bool:
        """Whether the caller sees connectors; 401 for anyone unknown, before anything else is looked at."""
        key = request.headers.get("x-api-key", "")
        if request.headers.get("authorization") == f"Bearer {SESSION}":
            organisation = request.headers.get("x-openwork-org-id", data.ORGANISATION)
            if organisation != data.ORGANISATION and len(organisation) == len(data.ORGANISATION):
                raise Refused(404, {"error": "organization_not_found"})
            return True
        if key not in {KEY, MEMBER_KEY} or not self._within_limits(key):
            raise Refused(401, {"error": "unauthorized"})
        return key == KEY

    def _within_limits(self, key: str) -> bool:
        now, usage = self.clock(), self.usage.setdefault(key, _Usage())
        if usage.last is not None and now - usage.last > REST:
            usage.accepted = 0
        if self.limits and usage.accepted >= REQUESTS:
            return False
        usage.accepted, usage.last = usage.accepted + 1, now
        return True


def _events_page(
    slots: range, asked: Mapping[str, str], now: datetime
) -> tuple[Sequence[data.Event], str | None]:
    """Rows after the cursor; an unknown one, or one that the filter leaves out, is the head."""
    limit = int(asked.get("limit", DEFAULT_PAGE))
    after = _event_of(asked.get("cursor", ""))
    if after is not None and after.slot in slots and _shows(after, asked, now):
        slots = slots[slots.index(after.slot) + 1 :]
    shown = (its for its in map(data.Event, slots) if _shows(its, asked, now))
    rows = list(islice(shown, limit + 1))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def _shows(its: data.Event, asked: Mapping[str, str], now: datetime) -> bool:
    target = its.target and its.target.id
    if asked.get("connectorTargetId") not in {None, target}:
        return False
    if asked.get("connectorInstanceId") not in {None, its.instance.id}:
        return False
    if asked.get("eventType") not in {None, its.event_type}:
        return False
    if "status" in asked and asked["status"] != events.state(its, now).status:
        return False
    return "q" not in asked or asked["q"].lower() in events.references(its)


def _event_of(id: str) -> data.Event | None:
    at = typeid.created_at(id)
    its = None if at is None else data.event_at(at)
    return its if its is not None and its.id == id else None


def _instance_of(request: Request) -> data.Instance:
    asked = _path_id(request, "connectorInstanceId", "cin")
    its = next((instance for instance in data.INSTANCES if instance.id == asked), None)
    if its is None:
        raise _missing("connector_instance")
    return its


def _page(rows: Sequence[Mapping[str, object]], asked: Mapping[str, str]) -> Mapping[str, object]:
    rows = sorted(rows, key=lambda row: (str(row["updatedAt"]), str(row["id"])), reverse=True)
    limit, ids = int(asked.get("limit", DEFAULT_PAGE)), [row["id"] for row in rows]
    start = ids.index(asked["cursor"]) + 1 if asked.get("cursor") in ids else 0
    shown = rows[start : start + limit]
    return {"items": shown, "nextCursor": shown[-1]["id"] if start + limit < len(rows) else None}


def _path_id(request: Request, name: str, prefix: str) -> str:
    asked = str(request.path_params["id"])
    refuse(list(id_issues(name, prefix, asked)))
    return asked


def _permit(*, sees: bool) -> None:
    if not sees:
        message = "Missing viewer access for connector instance."
        raise Refused(403, {"error": "forbidden", "message": message})


def _missing(what: str) -> Refused:
    message = f"{what.replace('_', ' ').capitalize()} not found."
    return Refused(404, {"error": f"{what}_not_found", "message": message})


async def _health(request: Request) -> Response:
    return _json(request, {"ok": True, "service": "den-api", "version": "sandbox"})


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return _json(request, refused.body, refused.status)


async def _no_route(request: Request, _: Exception) -> Response:
    return _json(request, {"error": "not_found"}, 404)


def _json(request: Request, body: Mapping[str, object], status: int = 200) -> Response:
    exchange = f"req_{data.hashed(str(request.url)):032x}"[:30]
    return JSONResponse(body, status, headers={"x-request-id": exchange})
