"""How each of Airweave's contracts is spoken, and how it refuses.

Every body is ``{"detail": "..."}``. None of it is passed on: a 500 holds SQL with its parameters.
"""

from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamNotFoundError,
)
from syncgraph.providers.airweave.settings import OLD_JOB_PATH, SEED, TODAY, Settings
from syncgraph.upstream.answer import Answer, Dialect

_HINTS = {
    TODAY: "This server has no source connections: base_url is the API's root, without /v1; "
    'or configure contract = "sync-jobs".',
    SEED: 'This server has no such path to a sync job: configure contract = "source-connections", '
    'or job_path = "airweave-0.9.17" for that release.',
}
_BAD_KEY = frozenset({"Invalid or expired API key", "API key has expired"})
"""Said with 403 of a key that no right would help."""


def dialect(settings: Settings) -> Dialect:
    old = settings.contract == SEED and settings.job_path == OLD_JOB_PATH
    return Dialect(
        headers=_headers(settings),
        gone_hint=_HINTS[settings.contract],
        refusal=refused_by_0_9_17 if old else refused,
    )


def _headers(settings: Settings) -> dict[str, str]:
    key = settings.credential.get_secret_value()
    organisation = {} if settings.organisation is None else {"x-organization-id": settings.organisation}
    if settings.key_header == "bearer":
        return {"authorization": f"Bearer {key}", **organisation}
    return {"x-api-key": key, **organisation}


def refused(answer: Answer, _worked: bool) -> type[UpstreamError] | None:  # noqa: FBT001 - as Dialect asks
    """403 for a bad key; a 404 of FastAPI's own wording is a route that is not there, another is a thing."""
    if answer.status == 403 and answer.text_at("detail") in _BAD_KEY:  # noqa: PLR2004
        return UpstreamAuthError
    if answer.status == 404:  # noqa: PLR2004
        return _absent(answer.text_at("detail"))
    return None


def refused_by_0_9_17(answer: Answer, worked: bool) -> type[UpstreamError] | None:  # noqa: FBT001 - as Dialect asks
    """That release answers for a job that is not there with a 500 over the nothing it tried to send."""
    said = answer.text_at("detail") if answer.status == 500 else ""  # noqa: PLR2004
    if "ResponseValidationError" in said and "'input': None" in said:
        return UpstreamNotFoundError
    return refused(answer, worked)


def _absent(said: str) -> type[UpstreamError] | None:
    if said == "Not Found":
        return UpstreamGoneError
    if said.startswith("Organization with ID ") and said.endswith(" not found"):
        return UpstreamForbiddenError
    return None
