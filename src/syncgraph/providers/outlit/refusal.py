"""How each of Outlit's contracts refuses."""

import msgspec

from syncgraph.errors import (
    UpstreamContractError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamNotFoundError,
    UpstreamQuotaError,
    UpstreamRateLimitedError,
    UpstreamUnavailableError,
)
from syncgraph.providers.outlit import wire
from syncgraph.providers.outlit.settings import SEED, TODAY, Settings
from syncgraph.upstream.answer import Answer, Dialect

_HINTS = {
    SEED: 'This Outlit no longer serves the REST integrations; configure contract = "tool-gateway".',
    TODAY: 'This Outlit has no integration readiness tool; configure contract = "integrations".',
}
_NO_ROUTE = frozenset({404, 405, 410})
_NO_TOOL = frozenset({"TOOL_BINDING_MISSING", "INVALID_TOOL_CALL"})
_PLAN = ("plan_", "api_limit_")
"""Codes of a plan's limit begin so; they come with 402, 403 and 429 alike."""


def dialect(settings: Settings) -> Dialect:
    return Dialect(
        headers={"authorization": f"Bearer {settings.credential.get_secret_value()}"},
        gone_hint=_HINTS[settings.contract],
        refusal=refused_by_rest if settings.contract == SEED else refused_by_gateway,
    )


def refused_by_rest(answer: Answer, _worked: bool) -> type[UpstreamError] | None:  # noqa: FBT001 - as Dialect asks
    """A missing route is never an empty list; the one parameter we send is a provider's id, so 400 means that."""
    said = _said(answer)
    if answer.status in _NO_ROUTE:
        return UpstreamGoneError
    if answer.status == 400 and said.error:  # noqa: PLR2004
        return UpstreamNotFoundError
    return _limit(answer, said)


def refused_by_gateway(answer: Answer, _worked: bool) -> type[UpstreamError] | None:  # noqa: FBT001 - as Dialect asks
    """``code`` and ``retryable`` decide; the REST era's ``{error}`` for a tool it lacks is a missing tool, too."""
    said = _said(answer)
    if answer.status in _NO_ROUTE or said.code in _NO_TOOL or (answer.status == 400 and said.error):  # noqa: PLR2004
        return UpstreamGoneError
    return _limit(answer, said) or _by_retryable(answer, said)


def _limit(answer: Answer, said: wire.Refusal) -> type[UpstreamError] | None:
    throttled = answer.status == 429  # noqa: PLR2004
    if throttled and said.retryable:
        return UpstreamRateLimitedError
    if said.code.startswith(_PLAN) or (throttled and said.retryable is False):
        return UpstreamQuotaError
    return None


def _by_retryable(answer: Answer, said: wire.Refusal) -> type[UpstreamError] | None:
    """Where the status leaves it open: 5xx that asking again will not change, 409 and 422 that it will."""
    if answer.status >= 500 and said.retryable is False:  # noqa: PLR2004
        return UpstreamContractError
    if answer.status in {409, 422} and said.retryable:
        return UpstreamUnavailableError
    return None


def _said(answer: Answer) -> wire.Refusal:
    try:
        return wire.REFUSAL.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return wire.Refusal()
