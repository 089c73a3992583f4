"""Recorded answers of really running servers, served again: over a socket, for any limit and cursor.

A recording is one exchange. A route whose list was recorded answers with slices of its largest recorded list, as the
server would; everything else answers exactly as recorded. What was never recorded is 404 ``not_recorded``.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

RECORDINGS = Path(__file__).parent / "fixtures" / "recordings"
CREDENTIALS = ("x-api-key", "authorization")
SCOPES = ("x-openwork-org-id", "x-organization-id")
"""Headers that change the answer and are no secret: compared by value."""
NOT_SENT_AGAIN = {"content-length", "transfer-encoding", "connection", "keep-alive", "date", "server"}

Query = tuple[tuple[str, str], ...]
Identity = tuple[tuple[str, str], ...]

DEN_UNRECORDED: Mapping[str, object] = {
    "/v1/connector-instances/cin_01m80vpk59e3dr2vxjy670vdka/targets": {
        "items": [
            {
                "connectorInstanceId": "cin_01m80vpk59e3dr2vxjy670vdka",
                "connectorType": "github",
                "createdAt": "2026-11-22T05:29:41.832Z",
                "externalTargetRef": "main",
                "id": "ctg_01m80vpk68eabsk06hrc5c5bqz",
                "remoteId": "acme/agents",
                "targetConfigJson": {"repositoryFullName": "acme/agents", "branch": "main"},
                "targetKind": "repository_branch",
                "updatedAt": "2026-11-22T05:29:41.832Z",
            }
        ],
        "nextCursor": None,
    }
}
"""The one list of the lab organisation that nobody recorded, put together from its events."""


@dataclass(frozen=True)
class Recording:
    """One exchange with a running server."""

    name: str
    method: str
    path: str
    query: Query
    identity: Identity
    status: int
    headers: Mapping[str, str]
    body: Any
    text: str | None

    @property
    def rows(self) -> Sequence[Any] | None:
        """The rows, if it is a list of things with ids."""
        rows = self.body.get("items") if isinstance(self.body, dict) else self.body
        is_list = isinstance(rows, list) and all(isinstance(row, dict) and "id" in row for row in rows)
        return rows if is_list and self.status == 200 and self.method == "GET" else None

    @property
    def is_open(self) -> bool:
        """Answered without a credential."""
        return self.status < 300 and not self.identity

    def response(self) -> Response:
        content = self.text or "" if self.body is None else json.dumps(self.body)
        kept = {name: value for name, value in self.headers.items() if name not in NOT_SENT_AGAIN}
        return Response(content, self.status, headers=kept)


def recordings(folder: Path) -> Sequence[Recording]:
    """All exchanges of a folder, oldest first."""
    raw = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    # A few files are notes of several exchanges in a shape of their own.
    return [_recording(one) for one in sorted(filter(_is_recording, raw), key=_recorded_at)]


def recording(folder: Path, name: str) -> Recording:
    return _recording(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))


def replay(
    folder: Path,
    *,
    default_limit: int = 50,
    without_skip: Sequence[str] = ("/jobs",),
    unrecorded: Mapping[str, object] | None = None,
) -> Starlette:
    """An application that answers as the recorded server.

    ``default_limit``: rows of a list without ``limit``. ``without_skip``: ends of paths whose lists ignore ``skip``.
    ``unrecorded``: by path, bodies or the recording of a like route for what the recordings lack.
    """
    its = _Replay(recordings(folder), default_limit, tuple(without_skip), unrecorded or {})
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", its.answer, methods=methods)])


@asynccontextmanager
async def serving(app: ASGIApp, **changes: Any) -> AsyncIterator[str]:
    """The base URL of ``app`` on a real socket of this machine. It listens before the server runs: no waiting.

    ``changes`` to how uvicorn is configured.
    """
    usual = {"log_config": None, "ws": "none", "lifespan": "auto", "timeout_graceful_shutdown": 1}
    config = uvicorn.Config(app, **{**usual, **changes})
    server = uvicorn.Server(config)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@dataclass(frozen=True)
class _Replay:
    recorded: Sequence[Recording]
    default_limit: int
    without_skip: tuple[str, ...]
    unrecorded: Mapping[str, object]

    async def answer(self, request: Request) -> Response:
        path, query = request.url.path, tuple(sorted(parse_qsl(request.url.query, keep_blank_values=True)))
        identity = _identity(request.headers.items())
        exact = [
            one
            for one in self.recorded
            if (one.method, one.path, one.query) == (request.method, path, query)
            and (one.identity == identity or one.is_open)
        ]
        good = [one for one in exact if one.status < 300]
        if exact and not good:
            return exact[0].response()
        if not identity and not good:
            return self._stranger()
        rows = self._rows(request.method, path)
        if rows is not None and not (good and _is_beyond_slicing(rows, query)):
            return self._slice(rows, path, dict(query))
        if good:
            return good[0].response()
        return self._derived(path)

    def _stranger(self) -> Response:
        refusals = [one for one in self.recorded if not one.identity and one.status in {401, 403}]
        return refusals[0].response() if refusals else JSONResponse({"error": "unauthorized"}, 401)

    def _rows(self, method: str, path: str) -> Recording | None:
        """The largest list recorded of a route, as the server's first user saw it, without a filter."""
        lists = [
            one
            for one in self.recorded
            if method in {"GET", "HEAD"} and one.path == path and one.rows is not None
            if {name for name, _ in one.query} <= {"limit"} and dict(one.identity).keys() <= {"x-api-key"}
        ]
        return max(lists, key=lambda one: len(one.rows or ()), default=None)

    def _slice(self, largest: Recording, path: str, query: Mapping[str, str]) -> Response:
        limit = int(query.get("limit", self.default_limit))
        rows = [row for row in self._all(largest) if _fits(row, query)]
        if isinstance(largest.body, dict):
            ids = [row["id"] for row in rows]
            start = ids.index(query["cursor"]) + 1 if query.get("cursor") in ids else 0
            shown = rows[start : start + limit]
            rest = shown[-1]["id"] if start + limit < len(rows) else None
            return JSONResponse({"items": shown, "nextCursor": rest})
        skip = 0 if path.endswith(self.without_skip) else int(query.get("skip", 0))
        return JSONResponse(rows[skip : skip + limit])

    def _all(self, largest: Recording) -> Sequence[Any]:
        """The list and, by their cursors, the pages after it that were recorded too."""
        rows = list(largest.rows or ())
        pages = {
            dict(one.query)["cursor"]: one
            for one in self.recorded
            if one.path == largest.path
            and one.rows
            and {name for name, _ in one.query} == {"limit", "cursor"}
        }
        while rows and (page := pages.pop(rows[-1]["id"], None)) is not None:
            rows += page.rows or ()
        return rows

    def _derived(self, path: str) -> Response:
        if path in self.unrecorded:
            known = self.unrecorded[path]
            return known.response() if isinstance(known, Recording) else JSONResponse(known)
        parent, _, last = path.rpartition("/")
        listed = self._rows("GET", parent)
        if listed is not None and isinstance(listed.body, dict):
            for row in self._all(listed):
                if row["id"] == last:
                    return JSONResponse({"item": row})
        return JSONResponse({"error": "not_recorded", "message": path}, 404)


def _recording(raw: Mapping[str, Any]) -> Recording:
    asked, told = raw["request"], raw["response"]
    url = urlsplit(asked["path"])
    return Recording(
        name=raw["name"],
        method=asked["method"],
        path=url.path,
        query=tuple(sorted(parse_qsl(url.query, keep_blank_values=True))),
        identity=_identity(asked["headers"].items()),
        status=told["status"],
        headers={name.lower(): value for name, value in told["headers"]},
        body=told["body"],
        text=told["body_text"],
    )


def _is_recording(raw: object) -> bool:
    return isinstance(raw, dict) and raw.keys() >= {"request", "response"}


def _recorded_at(raw: Mapping[str, Any]) -> tuple[float, str]:
    headers = {name.lower(): value for name, value in raw["response"]["headers"]}
    sent = headers.get("date")
    return parsedate_to_datetime(sent).timestamp() if sent else 0.0, raw["name"]


def _identity(headers: Iterable[tuple[str, str]]) -> Identity:
    """Who asks: the kind of the credential, and the organisation asked for."""
    given = {name.lower(): value for name, value in headers}
    kinds = [(name, "") for name in CREDENTIALS if name in given]
    return tuple(kinds + [(name, given[name]) for name in SCOPES if name in given])


def _is_beyond_slicing(largest: Recording, query: Query) -> bool:
    """Whether a parameter says more than which of the rows to show: a search, or one that is ignored."""
    known = {"limit", "cursor", "skip"}.union(*(largest.rows or ()))
    return any(name not in known for name, _ in query)


def _fits(row: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """A parameter named as one of the row's keys filters by it."""
    return all(str(row[name]) == value for name, value in query.items() if name in row)
