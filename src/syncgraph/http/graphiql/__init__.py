"""GraphiQL, served by the gateway itself: no other host is asked for anything."""

from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ASSETS = Path(__file__).parent / "assets"

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; font-src data:; "
        "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Inline styles are Monaco's; its fonts are in the style sheet. A worker takes its policy from its own response."""


def page() -> Response:
    return FileResponse(ASSETS / "index.html", headers={**HEADERS, "cache-control": "no-cache"})


class Assets(StaticFiles):
    """The page's scripts, styles and examples."""

    def __init__(self) -> None:
        super().__init__(directory=ASSETS)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update({**HEADERS, "cache-control": "max-age=300"})
        return response
