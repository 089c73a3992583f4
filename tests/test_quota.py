"""What each provider says of its limits, read by a gateway whose own clock may be wrong."""

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.gateway import NOW

from syncgraph.errors import UpstreamRateLimitedError
from syncgraph.ports import RateLimit
from syncgraph.upstream.answer import Answer, Dialect, error_of
from syncgraph.upstream.quota import rate_limit

EPOCH = int(NOW.timestamp())
"""The provider's clock is right."""
HOUR = timedelta(hours=1)
WRONG = [timedelta(), HOUR, -HOUR]


def at(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def limits(limit: object, remaining: object, reset: object, *, x: str = "") -> dict[str, str]:
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"{x}ratelimit-{name}": str(value) for name, value in told.items() if value is not None}


# Per sample: the headers of an answer; limit and remaining; in how many seconds it begins anew, None: it does not say.
SAMPLES = {
    "airweave, a success: the reset is now": (limits(10, 9, EPOCH), (10, 9), 0),
    "airweave, nothing left": (limits(10, 0, EPOCH + 37), (10, 0), 37),
    "airweave, a whole window": (limits(10, 0, EPOCH + 60), (10, 0), 60),
    "airweave, the Pro plan": (limits(100, 42, EPOCH), (100, 42), 0),
    "airweave, the Team plan": (limits(250, 249, EPOCH + 1), (250, 249), 1),
    "airweave, no limit": (limits(9999, 9999, EPOCH), (9999, 9999), 0),
    "airweave, its limiter is down": (limits(0, 9999, EPOCH), None, None),
    "airweave, its limiter is down, and no reset": (limits(0, 9999, None), None, None),
    "airweave, a reset in the past": (limits(10, 3, EPOCH - 5), (10, 3), -5),
    "airweave, a reset beyond a day": (limits(10, 3, EPOCH + 90_000), (10, 3), None),
    "airweave, without headers": ({}, None, None),
    "timbal, a success": (limits(600, 599, 60), (600, 599), 60),
    "timbal, nothing left": (limits(600, 0, 12), (600, 0), 12),
    "timbal, at once": (limits(600, 600, 0), (600, 600), 0),
    "timbal, by aliases": (limits(600, 599, 60, x="x-"), (600, 599), 60),
    "timbal, both, which are the same": (limits(600, 599, 60) | limits(600, 599, 60, x="x-"), (600, 599), 60),
    "timbal, an hour": (limits(100, 99, 3600), (100, 99), 3600),
    "timbal, longer than a day": (limits(100, 99, 1_000_000), (100, 99), 86_400),
    "timbal, only a limit": (limits(600, None, None), (600, None), None),
    "timbal, only what remains": (limits(None, 5, None), (None, 5), None),
    "timbal, only a reset": (limits(None, None, 30), (None, None), 30),
    "timbal, an upload's": (limits(20, 0, 3), (20, 0), 3),
    "outlit, ingest": (limits(1000, 998, EPOCH + 30, x="x-"), (1000, 998), 30),
    "outlit, nothing left": (limits(1000, 0, EPOCH + 59, x="x-"), (1000, 0), 59),
    "outlit, a reset in the past": (limits(1000, 0, EPOCH - 1, x="x-"), (1000, 0), -1),
    "outlit, without a reset": (limits(1000, 12, None, x="x-"), (1000, 12), None),
    "outlit, a plan's allowance": ({}, None, None),
    "outlit, milliseconds since 1970": (limits(1000, 12, EPOCH * 1000, x="x-"), (1000, 12), None),
    "den, never": ({"x-request-id": "r-1"}, None, None),
    "den, behind somebody's proxy": (limits(600, 1, 60), (600, 1), 60),
    "words": (limits("many", "few", "soon"), None, None),
    "a fraction": (limits("10.5", 1, 1), (None, 1), 1),
    "a negative number": (limits(-1, 5, -5), (None, 5), None),
    "a number in other digits": (limits("٣", 5, "²"), (None, 5), None),
    "more digits than a number has": (limits("9" * 5000, "9" * 11, 5), (None, None), 5),
    "beyond 32 bits": (limits(4_294_967_296, 5, None), (None, 5), None),
    "with spaces": (limits(" 10", "9 ", 5), (None, None), 5),
    "empty": (limits("", "", ""), None, None),
    "a policy in structured fields": ({"ratelimit": '"default";r=50;t=30'}, None, None),
    "empty, and an alias": (limits("", None, None) | limits(10, 2, 7, x="x-"), (10, 2), 7),
    "the last second of an epoch that is a wait": (limits(10, 2, 1_000_000_000), (10, 2), 86_400),
}  # fmt: skip


def test_there_are_samples_enough():
    assert len(SAMPLES) >= 40


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_limit_is_read_right_by_whatever_clock(sample, wrong):
    headers, told, reset_s = SAMPLES[sample]
    ours = NOW + wrong

    read = rate_limit(headers | {"date": at(0)}, ours)

    if told is None:
        assert read is None
        return
    reset_at = None if reset_s is None else ours + timedelta(seconds=reset_s)
    assert read == RateLimit(limit=told[0], remaining=told[1], reset_at=reset_at)


@pytest.mark.parametrize("date", [{}, {"date": "yesterday"}])
def test_an_answer_without_its_own_date_is_read_by_our_clock(date):
    read = rate_limit(limits(10, 0, EPOCH + 30) | date, NOW)

    assert read is not None
    assert read.reset_at == NOW + timedelta(seconds=30)


REFUSALS = {
    "seconds": ({"retry-after": "30"}, 30),
    "a date": ({"retry-after": at(30), "date": at(0)}, 30),
    "seconds and an epoch": ({"retry-after": "30", "date": at(0)} | limits(10, 0, EPOCH + 31), 30),
    "only an epoch": ({"date": at(0)} | limits(10, 0, EPOCH + 30), 30),
    "only seconds until the reset": ({"date": at(0)} | limits(600, 0, 30), 30),
    "only an alias of it": ({"date": at(0)} | limits(1000, 0, EPOCH + 30, x="x-"), 30),
    "a reset that has passed": ({"date": at(0)} | limits(10, 0, EPOCH - 1), 65),
    "nothing": ({"date": at(0)}, 65),
    "a day": ({"retry-after": "86400"}, 3600),
    "a reset tomorrow": ({"date": at(0)} | limits(600, 0, 86_000), 3600),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_when_to_come_back_is_right_to_a_second_by_whatever_clock(refusal, wrong):
    headers, wait_s = REFUSALS[refusal]
    dialect = Dialect(headers={}, gone_hint="Gone.", rest=timedelta(seconds=65))

    error = error_of(
        UpstreamRateLimitedError, Answer(429, headers, b""), dialect, provider="acme", now=NOW + wrong
    )

    assert isinstance(error.retry_after, datetime)
    assert abs((error.retry_after - NOW - wrong).total_seconds() - wait_s) <= 1
