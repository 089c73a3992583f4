"""A local stand-in for Airweave: today's source connections, or the single sync jobs of before.

Answers, headers and refusals are those of the recordings of v0.9.66 and v0.9.17; of the seed document where no server
ever served it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NoReturn
from uuid import UUID

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncgraph.providers.airweave import sandbox_data as data
from syncgraph.providers.airweave.sandbox_data import Body, Job, Link
from syncgraph.providers.airweave.settings import SEED

KEY = "sandbox-airweave-0000000000000000000000-key"
EXPIRED_KEY = "sandbox-airweave-000000000000000000-expired"
PER_MINUTE = 10
WINDOW = timedelta(seconds=60)
MAX_LIMIT = 1000

Clock = Callable[[], datetime]


def settings(contract: str) -> dict[str, object]:
    if contract != SEED:
        return {"kind": "airweave", "contract": contract}
    jobs = [data.slot_id(link, slot) for link in data.SLOTTED for slot in range(data.SLOTS)]
    return {"kind": "airweave", "contract": contract, "jobs": jobs}


def app(
    *, clock: Clock, contract: str, limits: bool = False, runs: int = 40, links: Sequence[Link] = data.LINKS
) -> Starlette:
    """``runs``: jobs of each of ``links`` that does not tell its own number. ``limits``: ten requests in a minute."""
    server = _SyncJobs(clock) if contract == SEED else _SourceConnections(clock, runs, links)
    gate = _Gate(clock, contract, limits=limits)
    return Starlette(
        routes=[
            Route(path + slash, partial(_answer, gate, handler), methods=["GET"])
            for path, handler in server.routes.items()
            for slash in ("", "/")
        ],
        exception_handlers={_Refused: _refused, HTTPException: _unrouted},
    )


Handler = Callable[[Request], object]


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, body: Body, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.response = JSONResponse(body, status, headers)


def _refuse(status: int, detail: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    raise _Refused(status, {"detail": detail}, headers)


async def _answer(gate: "_Gate", handler: Handler, request: Request) -> Response:
    """The key first, then the limit, then the question: a limit wins over a 404, an unknown route over a bad key."""
    headers = gate.admit(request)
    try:
        return JSONResponse(handler(request), headers=headers)
    except _Refused as refused:
        refused.response.headers.update(headers)
        raise


async def _refused(_: Request, refused: Exception) -> Response:
    assert isinstance(refused, _Refused)
    return refused.response


async def _unrouted(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


class _Gate:
    """Keys, and the requests of one organisation in the last minute."""

    def __init__(self, clock: Clock, contract: str, *, limits: bool) -> None:
        self._clock = clock
        self._contract = contract
        self._limits = limits
        self._admitted: list[datetime] = []

    def admit(self, request: Request) -> dict[str, str]:
        """The headers of an admitted request; refused ones do not count."""
        self._authenticate(request)
        now = self._clock()
        if not self._limits:
            return _limit_headers(0, 9999, now)
        self._admitted = [at for at in self._admitted if now - at < WINDOW]
        if len(self._admitted) >= PER_MINUTE:
            self._turn_away(now)
        self._admitted.append(now)
        return _limit_headers(PER_MINUTE, PER_MINUTE - len(self._admitted), now)

    def _authenticate(self, request: Request) -> None:
        key = request.headers.get("x-api-key")
        if self._contract == SEED:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if KEY not in {key, token if scheme.lower() == "bearer" else None}:
                _refuse(401, "No valid authentication provided")
            return
        if key is None:
            _refuse(401, "No valid authentication provided")
        if key != KEY:
            _refuse(403, "API key has expired" if key == EXPIRED_KEY else "Invalid or expired API key")
        self._check_organisation(request.headers.get("x-organization-id", data.ORGANISATION))

    def _check_organisation(self, organisation: str) -> None:
        if not _is_uuid(organisation):
            _refuse(500, "Internal Server Error: ValueError: badly formed hexadecimal UUID string")
        if organisation != data.ORGANISATION:
            _refuse(404, f"Organization with ID {organisation} not found")

    def _turn_away(self, now: datetime) -> NoReturn:
        frees = self._admitted[0] + WINDOW
        wait_s = (frees - now).total_seconds()
        # "per second" is Airweave's own slip; the window is a minute.
        text = f"Rate limit exceeded. Please retry after {wait_s:.2f} seconds. Limit: {PER_MINUTE} requests per second."
        _refuse(429, text, {"retry-after": str(int(wait_s) + 1), **_limit_headers(PER_MINUTE, 0, frees)})


def _limit_headers(limit: int, left: int, reset: datetime) -> dict[str, str]:
    return {
        "ratelimit-limit": str(limit),
        "ratelimit-remaining": str(left),
        "ratelimit-reset": str(math.ceil(reset.timestamp())),
    }


class _SourceConnections:
    """v0.9.66."""

    def __init__(self, clock: Clock, runs: int, links: Sequence[Link]) -> None:
        self._clock = clock
        self._runs = runs
        self._by_id = {link.id: link for link in links}
        self._lists = data.lists(links)
        self.routes: Mapping[str, Handler] = {
            "/source-connections": self.index,
            "/source-connections/{id}": self.detail,
            "/source-connections/{id}/jobs": self.jobs,
        }

    def index(self, request: Request) -> list[Body]:
        skip = _number(request, "skip", default=0, least=0, most=None)
        limit = _number(request, "limit", default=100, least=1, most=MAX_LIMIT)
        wanted = request.query_params.get("collection", data.COLLECTION)
        links = next(self._lists) if wanted == data.COLLECTION else []
        return [self._item(link) for link in links[skip : skip + limit]]

    def detail(self, request: Request) -> Body:
        link = self._link(request)
        newest = self._newest(link)
        return {
            **_named(link),
            "organization_id": data.ORGANISATION,
            "description": None,
            "status": _status(link, newest),
            "auth": _auth(link),
            "config": None if not link.authenticated else {"include_archived": False},
            "schedule": self._schedule(link),
            "sync": None if newest is None else _last_run(newest),
            "sync_id": link.sync_id,
            "entities": _entities(link, self._clock()),
            "error_category": newest and newest.category,
            "error_message": "The credentials of this connection have expired."
            if newest and newest.category
            else None,
            "provider_settings_url": None,
            "provider_short_name": None,
            "federated_search": link.federated,
        }

    def jobs(self, request: Request) -> list[Body]:
        limit = _number(request, "limit", default=100, least=1, most=MAX_LIMIT)
        link = self._link(request)
        if link.sync_id is None:
            _refuse(404, "No sync found for this source connection")
        count = min(limit, self._runs if link.runs is None else link.runs)
        return [_job(link, job) for job in data.jobs(link, self._clock(), count=count)]

    def _link(self, request: Request) -> Link:
        asked = request.path_params["id"]
        if not _is_uuid(asked):
            _invalid("path.source_connection_id", "Input should be a valid UUID")
        return self._by_id.get(str(UUID(asked))) or _refuse(404, "SourceConnection not found")

    def _item(self, link: Link) -> Body:
        return {
            **_named(link),
            "is_authenticated": link.authenticated,
            "entity_count": data.entity_total(link),
            "federated_search": link.federated,
            "auth_method": link.auth_method,
            "status": _status(link, self._newest(link)),
        }

    def _newest(self, link: Link) -> Job | None:
        count = min(1, self._runs if link.runs is None else link.runs)
        return next(data.jobs(link, self._clock(), count=count), None)

    def _schedule(self, link: Link) -> Body | None:
        if link.sync_id is None:
            return None
        return {
            "cron": link.cron,
            "next_run": _aware(data.next_at(link, self._clock())) if link.cron else None,
            "continuous": link.continuous,
            "cursor_field": None,
            "cursor_value": None,
        }


class _SyncJobs:
    """The seed document's path, and v0.9.17's, over the same jobs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots = {
            data.slot_id(link, slot): (link, slot) for link in data.SLOTTED for slot in range(data.SLOTS)
        }
        self.routes: Mapping[str, Handler] = {
            "/v1/sync/jobs/{job_id}": self.by_seed,
            "/sync/{sync_id}/job/{job_id}": self.by_0_9_17,
        }

    def by_seed(self, request: Request) -> Body:
        link, job = self._find(request) or _refuse(404, "Sync job not found")
        status = "in_progress" if job.status == "running" else job.status
        return _sync_job(link, job, status=status, write=_aware)

    def by_0_9_17(self, request: Request) -> Body:
        """A job that is not there breaks the server's own validation of its answer."""
        found = self._find(request)
        if found is None or found[0].sync_id != request.path_params["sync_id"]:
            _refuse(500, _NOTHING_TO_SEND)
        link, job = found
        return {**_sync_job(link, job, status=job.status, write=_naive), "access_token": None}

    def _find(self, request: Request) -> tuple[Link, Job] | None:
        found = self._slots.get(request.path_params["job_id"])
        return found and (found[0], data.slotted(*found, self._clock()))


_AUTH_UNSET = (
    *("expires_at", "auth_url", "auth_url_expires", "redirect_url", "claim_token"),
    *("provider_readable_id", "provider_id"),
)
_NOTHING_TO_SEND = (
    "Internal Server Error: ResponseValidationError: 1 validation errors:\n  {'type': 'model_attributes_type', "
    "'loc': ('response',), 'msg': 'Input should be a valid dictionary or object to extract fields from', "
    "'input': None}\n"
)


def _number(request: Request, name: str, *, default: int, least: int, most: int | None) -> int:
    given = request.query_params.get(name, str(default))
    try:
        number = int(given)
    except ValueError:
        _invalid(f"query.{name}", "Input should be a valid integer, unable to parse string as an integer")
    if number < least:
        _invalid(f"query.{name}", f"Input should be greater than or equal to {least}")
    if most is not None and number > most:
        _invalid(f"query.{name}", f"Input should be less than or equal to {most}")
    return number


def _invalid(place: str, message: str) -> NoReturn:
    raise _Refused(422, {"errors": [{place: message}]})


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def _named(link: Link) -> Body:
    return {
        "id": link.id,
        "name": link.name,
        "short_name": link.short_name,
        "readable_collection_id": data.COLLECTION,
        "created_at": _naive(link.created_at),
        "modified_at": _naive(link.created_at + timedelta(microseconds=8)),
    }


def _status(link: Link, newest: Job | None) -> str:
    """Of the connection, which mirrors its newest job; a job that waits does not show."""
    if not link.authenticated:
        return "pending_auth"
    if newest is None or newest.status not in {"running", "failed"}:
        return "active"
    failed = "needs_reauth" if newest.category else "error"
    return "syncing" if newest.status == "running" else failed


def _auth(link: Link) -> Body:
    since = _naive(link.created_at) if link.authenticated else None
    told = {"method": link.auth_method, "authenticated": link.authenticated, "authenticated_at": since}
    return {**dict.fromkeys(_AUTH_UNSET), **told}


def _last_run(job: Job) -> Body:
    """Counted over the newest job only, whatever its names promise."""
    return {
        "total_runs": 1,
        "successful_runs": int(job.status == "completed"),
        "failed_runs": int(job.status == "failed"),
        "last_job": _run(job),
    }


def _entities(link: Link, now: datetime) -> Body | None:
    total = data.entity_total(link)
    if link.sync_id is None:
        return None
    read_at = _naive(now.replace(minute=0, second=0, microsecond=0))
    return {"total_entities": total, "by_type": {link.entity: {"count": total, "last_updated": read_at}}}


def _job(link: Link, job: Job) -> Body:
    return {**_run(job), "source_connection_id": link.id, "error_details": None}


def _run(job: Job) -> Body:
    """``entities_failed`` holds the entities skipped, as in the real server."""
    took = job.completed_at - job.started_at if job.completed_at and job.started_at else None
    inserted, updated, deleted, _, skipped = job.counts
    return {
        "id": job.id,
        "status": job.status,
        "started_at": _naive(job.started_at),
        "completed_at": _naive(job.completed_at),
        "duration_seconds": took and took.total_seconds(),
        "entities_inserted": inserted,
        "entities_updated": updated,
        "entities_deleted": deleted,
        "entities_failed": skipped,
        "error": job.error,
        "error_category": job.category,
    }


def _sync_job(link: Link, job: Job, *, status: str, write: Callable[[datetime | None], str | None]) -> Body:
    inserted, updated, deleted, kept, skipped = job.counts
    return {
        "id": job.id,
        "sync_id": link.sync_id,
        "sync_name": f"Sync for {link.name}",
        "organization_id": data.ORGANISATION,
        "status": status,
        "scheduled": job.scheduled,
        "entities_inserted": inserted,
        "entities_updated": updated,
        "entities_deleted": deleted,
        "entities_kept": kept,
        "entities_skipped": skipped,
        "entities_encountered": {link.entity: sum(job.counts)},
        "started_at": write(job.started_at),
        "completed_at": write(job.completed_at),
        "failed_at": write(job.failed_at),
        "error": job.error,
        "sync_config": None,
        "sync_metadata": {} if write is _aware else None,
        "created_at": write(job.created_at),
        "modified_at": write(job.failed_at or job.completed_at or job.started_at or job.created_at),
        "created_by_email": None if job.scheduled else "ops@acme.example",
        "modified_by_email": None,
    }


def _naive(instant: datetime | None) -> str | None:
    """Without a zone, with 0 or 6 digits."""
    return None if instant is None else instant.replace(tzinfo=None).isoformat()


def _aware(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant:%Y-%m-%dT%H:%M:%SZ}"
