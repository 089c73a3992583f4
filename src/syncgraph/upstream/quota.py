"""What a provider's headers say of how often it may be asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from syncgraph.ports import RateLimit

_EPOCH_S = 1_000_000_000
"""A reset that is given as more than this is a time, not a wait."""
_LONGEST_WAIT = timedelta(days=1)
_MOST_DIGITS, _MOST_INT = 10, 2**31 - 1


def rate_limit(headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """From the ``RateLimit-*`` or ``X-RateLimit-*`` of an answer that came ``now``; None: it told nothing.

    A limit of 0 is how Airweave says that there is none. As of ``retry-after``, a time is measured against the answer's
    own ``Date``.
    """
    limit, remaining, reset = (_number(headers, name) for name in ("limit", "remaining", "reset"))
    if limit == 0 or (limit is None and remaining is None and reset is None):
        return None
    sent = http_date(headers.get("date", "")) or now
    return RateLimit(limit=limit, remaining=remaining, reset_at=_reset(reset, sent=sent, now=now))


def http_date(value: str) -> datetime | None:
    """An HTTP date; None when it is not one."""
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(f"ratelimit-{name}") or headers.get(f"x-ratelimit-{name}") or ""
    is_number = value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return int(value) if is_number and int(value) <= _MOST_INT else None


def _reset(value: int | None, *, sent: datetime, now: datetime) -> datetime | None:
    """Seconds from now, or since 1970: providers disagree; None beyond a day, which no limit lasts."""
    if value is None:
        return None
    if value <= _EPOCH_S:
        return now + timedelta(seconds=min(value, _LONGEST_WAIT.total_seconds()))
    wait = datetime.fromtimestamp(value, UTC) - sent
    return now + wait if wait <= _LONGEST_WAIT else None
