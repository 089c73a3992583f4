"""A run's own error text as data: secrets out, length bounded, fingerprinted so that equal failures group."""

import hashlib
import re
from datetime import datetime

from syncgraph.domain.model import ErrorCategory, SyncError

MAX_MESSAGE = 2000
"""Characters of a run's own error that are passed on."""

MAX_SCRUBBED = 20_000
"""Characters that are looked through; nothing behind them is passed on."""

_SECRETS = re.compile(
    r"""(?xi)
    (?P<name>
        (?: authorization | api[-_]?key | access[-_]?key | token | secret | password | passwd | pwd )
        \\* ["']? \s{0,8} [:=] \s{0,8}
    )
    (?: (?P<quote> \\* ["'] ) .{0,400}? (?P=quote)
      | (?P<open> \\* ["']? (?: (?: bearer | basic | token | digest ) \s{1,8} )? ) [^\s"'&,;)}\]\\]+ )
    | (?P<scheme> \b (?: bearer | basic ) \s{1,8} ) [\w.~+/=-]{8,}
    | (?P<userinfo> :// ) [^\s"'<>?\#]{1,400} @
    """
)
"""Every repetition that may have to be taken back is bounded: a message is an attacker's text."""

_VARIABLE = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[a-z]{2,5}_[0-9a-z]{20,}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"(?<!\w)(['\"`])(?:(?!\1).)*\1"), "<text>"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def scrub(text: str) -> str:
    """``text`` without what looks like a credential by the name or the scheme before it."""
    return _SECRETS.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    if found["userinfo"]:
        return "://***@"
    quote = found["quote"] or ""
    return f"{found['name'] or found['scheme']}{quote or found['open'] or ''}***{quote}"


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
