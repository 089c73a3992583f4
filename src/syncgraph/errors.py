"""Everything that can go wrong, by name. The only list: ``docs/errors.md`` and the schema are checked against it.

GatewayError                    code                           retry?   who acts
+- InvalidRequestError          BAD_USER_INPUT                 no       the caller
|  +- DocumentError             GRAPHQL_VALIDATION_FAILED      no       the caller     syntax, validation, coercion
|  +- InvalidIdError            BAD_ID                         no       the caller     not an id of this gateway, or of another type
|  +- NotFoundError             NOT_FOUND                      no       the caller     an id of `nodes`, or a key of `_entities`, that names nothing
|  +- InvalidCursorError        BAD_CURSOR                     no       the caller
|  +- CursorMismatchError       CURSOR_MISMATCH                no       the caller     a cursor of other arguments or another list
|  +- UnknownDocumentError      PERSISTED_QUERY_NOT_FOUND      no       the caller     no document has this id: send its text along
|  +- NoDocumentIdsError        PERSISTED_QUERY_NOT_SUPPORTED  no       the caller     texts are not kept here: always send them
|  +- UntrustedDocumentError    DOCUMENT_NOT_TRUSTED           no       the caller     only documents of a manifest are executed
|  +- RequestTimeoutError       REQUEST_TIMEOUT                no       the caller     the request did not arrive whole in time
+- OverloadedError              OVERLOADED                     yes      wait           more at once than this process keeps up with
+- ShuttingDownError            SHUTTING_DOWN                  yes      wait           the process ends; another one answers
+- TooManySubscriptionsError    TOO_MANY_SUBSCRIPTIONS         no       the caller     more than one connection or one address may have
+- SubscriberTooSlowError       SUBSCRIBER_TOO_SLOW            no       the caller     a subscription that does not take its events
+- IntegerOverflowError         INTEGER_OVERFLOW               no       us             beyond 2^53-1; the field is null
+- UpstreamError (.provider)
   +- UpstreamTimeoutError      UPSTREAM_TIMEOUT               yes      wait
   +- UpstreamUnavailableError  UPSTREAM_UNAVAILABLE           yes      wait           refused, reset, 5xx
   +- UpstreamRateLimitedError  UPSTREAM_RATE_LIMITED          yes      wait           429 and each provider's own way to say it
   +- UpstreamQuotaError        UPSTREAM_QUOTA_EXHAUSTED       no       the operator   402, a plan's allowance used up
   +- UpstreamCircuitOpenError  UPSTREAM_CIRCUIT_OPEN          yes      wait           broken a moment ago, so not asked now
   +- UpstreamAddressError      UPSTREAM_ADDRESS_REFUSED       no       the operator   the host's name leads into a private network
   +- UpstreamAuthError         UPSTREAM_UNAUTHORIZED          no       the operator   401, a key the provider refuses
   +- UpstreamForbiddenError    UPSTREAM_FORBIDDEN             no       the operator   403, a key without the right
   +- UpstreamNotFoundError     UPSTREAM_NOT_FOUND             no       the operator   a list's own parent is not there
   +- UpstreamContractError     UPSTREAM_BAD_RESPONSE          no       us             not JSON, wrong shape, too large, redirect
   +- UpstreamGoneError         UPSTREAM_CONTRACT_GONE         no       the operator   the configured contract is not served there
   +- BudgetExceededError       BUDGET_EXCEEDED                no       the caller     would cost more upstream calls than one operation may make
   +- PaginationStalledError    PAGINATION_STALLED             no       us             a cursor that loops
   +- TieOverflowError          TIE_OVERFLOW                   no       us             more equal times than one page can hold
anything else                   INTERNAL                       no       us             traceback logged, message hidden
"""

from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")

INTERNAL = "INTERNAL"
"""The code of everything that is not a :class:`GatewayError`: a bug of ours."""


class GatewayError(Exception):
    """Something that a client is told about, by ``code``; the message is for people and may change."""

    code = INTERNAL
    retryable = False


class InvalidRequestError(GatewayError):
    """The caller asked for what cannot be."""

    code = "BAD_USER_INPUT"


class DocumentError(InvalidRequestError):
    """The GraphQL document or its variables do not fit the schema."""

    code = "GRAPHQL_VALIDATION_FAILED"


class InvalidIdError(InvalidRequestError):
    """Not a global id of this gateway, or one of another type."""

    code = "BAD_ID"


class NotFoundError(InvalidRequestError):
    """An id that is well formed and names nothing, where its place in a list has to be kept."""

    code = "NOT_FOUND"


class InvalidCursorError(InvalidRequestError):
    """Not a cursor of this gateway, or one that was altered."""

    code = "BAD_CURSOR"


class CursorMismatchError(InvalidRequestError):
    """A cursor of another list, or of the same list with other arguments."""

    code = "CURSOR_MISMATCH"


class UnknownDocumentError(InvalidRequestError):
    """An id without a text, of a document that is not kept here; clients know it by this message, too."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class NoDocumentIdsError(InvalidRequestError):
    """An id of a kind that is not kept here; clients know it by this message, too."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")


class UntrustedDocumentError(InvalidRequestError):
    """Not of a manifest, where nothing else is executed."""

    code = "DOCUMENT_NOT_TRUSTED"


class RequestTimeoutError(InvalidRequestError):
    """The request began and did not arrive whole in time."""

    code = "REQUEST_TIMEOUT"


class OverloadedError(GatewayError):
    """Refused before it was read: more is asked at once than this process keeps up with."""

    code = "OVERLOADED"
    retryable = True


class ShuttingDownError(GatewayError):
    """Cut off, since the process ends."""

    code = "SHUTTING_DOWN"
    retryable = True


class TooManySubscriptionsError(GatewayError):
    """A connection or an address asks for more subscriptions than it may have at once."""

    code = "TOO_MANY_SUBSCRIPTIONS"


class SubscriberTooSlowError(GatewayError):
    """A subscription whose events are not taken was ended, so that they do not pile up."""

    code = "SUBSCRIBER_TOO_SLOW"


class IntegerOverflowError(GatewayError):
    """A number that JSON clients would round; the field is null instead."""

    code = "INTEGER_OVERFLOW"


class UpstreamError(GatewayError):
    """A provider did not answer as its contract promises. ``str(error)`` is safe to show to a client.

    ``retry_after``: the earliest instant at which the provider said to come back; None when it did not say.
    ``request_id``: the provider's own id of the failed exchange, where it sends one.
    ``retryable``: whether asking again may help; None leaves it to the kind of error.
    """

    code = "UPSTREAM_UNAVAILABLE"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        http_status: int | None = None,
        retry_after: datetime | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.http_status = http_status
        self.retry_after = retry_after
        self.request_id = request_id
        if retryable is not None:
            self.retryable = retryable


class UpstreamTimeoutError(UpstreamError):
    """No whole answer within the deadline."""

    code = "UPSTREAM_TIMEOUT"
    retryable = True


class UpstreamUnavailableError(UpstreamError):
    """Refused, reset, or 5xx."""

    code = "UPSTREAM_UNAVAILABLE"
    retryable = True


class UpstreamRateLimitedError(UpstreamError):
    """429, or the provider's own way to say it."""

    code = "UPSTREAM_RATE_LIMITED"
    retryable = True


class UpstreamQuotaError(UpstreamError):
    """402: a plan's allowance is used up."""

    code = "UPSTREAM_QUOTA_EXHAUSTED"


class UpstreamCircuitOpenError(UpstreamError):
    """It was broken a moment ago, so it is left alone; ``retry_after``: until when at least."""

    code = "UPSTREAM_CIRCUIT_OPEN"
    retryable = True


class UpstreamAddressError(UpstreamError):
    """The name of the provider's host leads to an address of a private network, which nobody allowed."""

    code = "UPSTREAM_ADDRESS_REFUSED"


class UpstreamAuthError(UpstreamError):
    """The provider refuses the credential."""

    code = "UPSTREAM_UNAUTHORIZED"


class UpstreamForbiddenError(UpstreamError):
    """The credential is good and lacks the right."""

    code = "UPSTREAM_FORBIDDEN"


class UpstreamNotFoundError(UpstreamError):
    """404 where the thing had to be there: the organisation, or the parent of a list."""

    code = "UPSTREAM_NOT_FOUND"


class UpstreamContractError(UpstreamError):
    """Not JSON, another shape, too large, or a redirect."""

    code = "UPSTREAM_BAD_RESPONSE"


class UpstreamGoneError(UpstreamError):
    """The configured contract is not served there; the message says which one to try."""

    code = "UPSTREAM_CONTRACT_GONE"


class BudgetExceededError(UpstreamError):
    """Asking the provider on would cost more upstream calls than one operation may make."""

    code = "BUDGET_EXCEEDED"


class PaginationStalledError(UpstreamError):
    """The provider's next cursor does not move on."""

    code = "PAGINATION_STALLED"


class TieOverflowError(UpstreamError):
    """More rows of one instant than one page can hold: their order cannot be known."""

    code = "TIE_OVERFLOW"


async def or_error(answer: Awaitable[T]) -> T | UpstreamError:
    """``answer``, or what went wrong as a value: one thing's trouble must not take its batch along."""
    try:
        return await answer
    except UpstreamError as error:
        return error
