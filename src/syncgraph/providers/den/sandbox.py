"""Den's API in small: the routes that the adapter and the doctor ask, its quirks included."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import dropwhile, islice

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
        Route("/v1/connector-sync-events/{id}/retry", den.retry_event, methods=["POST"]),
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
    retries: dict[int, tuple[datetime, ...]] = field(default_factory=dict)
    """By slot: when its event was put into the queue again."""

    async def list_events(self, request: Request) -> Response:
        sees = self._admit(request)
        asked = checked(request.query_params, enums=EVENT_ENUMS, ids=EVENT_IDS)
        now = self.clock()
        rows, rest = self._events_page(asked, now) if sees else ([], None)
        shown = [events.row(its, now, with_attempts=self.with_attempts) for its in rows]
        return _json(request, {"items": shown, "nextCursor": rest})

    async def get_event(self, request: Request) -> Response:
        sees = self._admit(request)
        now = self.clock()
        its = self._event_of(request, now)
        _permit("viewer", sees=sees)
        return _json(request, {"item": events.row(its, now, with_attempts=self.with_attempts)})

    async def retry_event(self, request: Request) -> Response:
        """Whatever its status: the same event waits again, as the newest of all."""
        sees = self._admit(request)
        now = self.clock()
        its = self._event_of(request, now)
        _permit("editor", sees=sees)
        self.retries[its.slot] = (*its.retries, now)
        return _json(request, {"ok": True, "queued": True, "job": {"id": its.id}}, 202)

    async def list_instances(self, request: Request) -> Response:
        sees = self._admit(request)
        asked = checked(request.query_params, enums=INSTANCE_ENUMS)
        listed = [its for its in data.INSTANCES if sees and asked.get("status") in {None, its.status}]
        return _json(request, _page([its.row() for its in listed], asked))

    async def get_instance(self, request: Request) -> Response:
        sees = self._admit(request)
        its = _instance_of(request)
        _permit("viewer", sees=sees)
        return _json(request, {"item": its.row()})

    async def list_targets(self, request: Request) -> Response:
        sees = self._admit(request)
        its = _instance_of(request)
        asked = checked(request.query_params, enums=TARGET_ENUMS)
        _permit("viewer", sees=sees)
        return _json(request, _page([one.row() for one in data.TARGETS if one.instance is its], asked))

    async def get_target(self, request: Request) -> Response:
        sees = self._admit(request)
        asked = _path_id(request, "connectorTargetId", "ctg")
        its = next((target for target in data.TARGETS if target.id == asked), None)
        if its is None:
            raise _missing("connector_target")
        _permit("viewer", sees=sees)
        return _json(request, {"item": its.row()})

    async def list_organisations(self, request: Request) -> Response:
        role = "owner" if self._admit(request) else "member"
        return _json(request, data.organisations(role))

    def _events_page(
        self, asked: Mapping[str, str], now: datetime
    ) -> tuple[Sequence[data.Event], str | None]:
        """Rows after the cursor; an unknown one, or one that the filter leaves out, is the head."""
        limit = int(asked.get("limit", DEFAULT_PAGE))
        after = self._find(asked.get("cursor", ""), now)
        known = after if after is not None and _shows(after, asked, now) else None
        shown = (its for its in self._newest_first(now, known) if _shows(its, asked, now))
        rows = list(islice(shown, limit + 1))
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else None

    def _newest_first(self, now: datetime, after: data.Event | None) -> Iterator[data.Event]:
        slots = self._slots(now)
        again = sorted(
            (data.Event(*its) for its in self.retries.items() if its[0] in slots), key=_place, reverse=True
        )
        if after is not None:
            slots = range(min(slots[0], data.event_at(after.queued_at).slot), slots[-1] - 1, -1)
        untouched = (data.Event(slot) for slot in slots if slot not in self.retries)
        rows = heapq.merge(again, untouched, key=_place, reverse=True)
        return rows if after is None else dropwhile(lambda its: _place(its) >= _place(after), rows)

    def _event_of(self, request: Request, now: datetime) -> data.Event:
        its = self._find(_path_id(request, "connectorSyncEventId", "cse"), now)
        if its is None:
            raise _missing("connector_sync_event")
        return its

    def _find(self, id: str, now: datetime) -> data.Event | None:
        made_at = typeid.created_at(id)
        if made_at is None:
            return None
        slot = data.event_at(made_at).slot
        its = data.Event(slot, self.retries.get(slot, ()))
        return its if its.id == id and slot in self._slots(now) else None

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


def _place(its: data.Event) -> tuple[datetime, str]:
    """What Den sorts by, the largest first."""
    return its.queued_at, its.id


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


def _permit(role: str, *, sees: bool) -> None:
    if not sees:
        message = f"Missing {role} access for connector instance."
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
