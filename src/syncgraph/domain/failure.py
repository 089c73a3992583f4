"""A run's own error text as data: secrets out, length bounded, fingerprinted so that equal failures group."""

import hashlib
import re
from datetime import datetime

from syncgraph.domain.model import ErrorCategory, SyncError

MAX_MESSAGE = 2000
"""Characters of a run's own error that are passed on."""

_SECRETS = re.compile(
    r"""(?xi)
    (?P<name> \b(?: authorization | x-api-key | api[-_]?key | access[-_]?token | refresh[-_]?token
                  | client[-_]?secret | secret | token | password | passwd | pwd ) ["']? \s* [:=] \s* ["']? (?:bearer\s+)? )
    [^\s"'&,;)}\]]+
    | (?P<scheme> \bbearer\s+ ) [\w.~+/=-]{8,}
    | (?P<userinfo> :// ) [^\s/@:]+ : [^\s/@]+ (?=@)
    """
)
_VARIABLE = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[a-z]{2,5}_[0-9a-z]{20,}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"(['\"`])(?:(?!\1).)*\1"), "<text>"),
    (re.compile(r"\d+"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def scrub(text: str) -> str:
    """``text`` without what looks like a credential by the name or the scheme before it."""
    return _SECRETS.sub(lambda m: (m["name"] or m["scheme"] or m["userinfo"]) + "***", text)


def failure(
    message: str,
    *,
    category: ErrorCategory = ErrorCategory.UNKNOWN,
    code: str | None = None,
    occurred_at: datetime | None = None,
) -> SyncError:
    """A run's or a sync's own error, safe to show."""
    return SyncError(
        message=scrub(message)[:MAX_MESSAGE], category=category, code=code, occurred_at=occurred_at
    )


def fingerprint(message: str) -> str:
    """16 hex digits, equal for messages that differ only in ids, numbers, times and quoted text."""
    for pattern, placeholder in _VARIABLE:
        message = pattern.sub(placeholder, message)
    return hashlib.sha256(message.strip().lower().encode()).hexdigest()[:16]
