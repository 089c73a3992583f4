import gc
import weakref
from datetime import UTC, timedelta

import pytest
from tests.gateway import NOW

from syncgraph.domain.provider_health import CircuitState, ProviderHealthStatus
from syncgraph.errors import (
    UpstreamNotFoundError,
    UpstreamRateLimitedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from syncgraph.ports import RateLimit
from syncgraph.upstream.quota import rate_limit
from syncgraph.upstream.seen import MOST, WINDOW_S, Seen

CLOSED = CircuitState.CLOSED


def down():
    return UpstreamUnavailableError("The provider cannot be reached.", provider="den", http_status=503)


def test_nothing_was_seen_before_the_first_call():
    health = Seen().health(None, circuit=CLOSED, at=0, now=NOW)

    assert health.status is ProviderHealthStatus.UNKNOWN
    assert (health.success_rate, health.latency, health.last_error, health.last_success_at) == (None,) * 4


def test_the_last_five_minutes_count():
    seen = Seen()
    seen.failed(down(), at=1, took_s=1, now=NOW)
    seen.succeeded(at=2, took_s=0.25, now=NOW + timedelta(seconds=1))
    seen.succeeded(at=3, took_s=0.75, now=NOW + timedelta(seconds=2))

    soon = seen.health(None, circuit=CLOSED, at=4, now=NOW)
    assert (soon.status, soon.success_rate) == (ProviderHealthStatus.DEGRADED, 2 / 3)
    assert soon.latency is not None
    assert (soon.latency.p50, soon.latency.count) == (0.5, 2)
    later = seen.health(None, circuit=CLOSED, at=1 + WINDOW_S, now=NOW)
    assert (later.status, later.success_rate) == (ProviderHealthStatus.UP, 1.0)
    much_later = seen.health(None, circuit=CLOSED, at=3 + WINDOW_S, now=NOW)
    assert (much_later.status, much_later.success_rate) == (ProviderHealthStatus.UNKNOWN, None)
    assert much_later.last_success_at == NOW + timedelta(seconds=2)
    assert str(much_later.last_error) == "The provider cannot be reached."


def test_that_a_thing_is_not_there_is_a_success():
    seen = Seen()
    seen.failed(UpstreamNotFoundError("No.", provider="den"), at=1, took_s=1, now=NOW)

    assert seen.health(None, circuit=CLOSED, at=1, now=NOW).status is ProviderHealthStatus.UP


def test_a_provider_that_asked_to_wait_is_rate_limited_until_then_or_until_it_answers():
    seen = Seen()
    until = NOW + timedelta(seconds=30)
    asked = UpstreamRateLimitedError("Too often.", provider="den", retry_after=until)
    seen.failed(asked, at=1, took_s=1, now=NOW)
    seen.failed(down(), at=2, took_s=1, now=NOW)
    seen.failed(asked, at=3, took_s=1, now=NOW)

    waiting = seen.health(None, circuit=CLOSED, at=4, now=NOW)
    assert (waiting.status, waiting.rate_limit) == (
        ProviderHealthStatus.RATE_LIMITED,
        RateLimit(reset_at=until),
    )
    assert seen.health(None, circuit=CLOSED, at=4, now=until).rate_limit is None
    seen.succeeded(at=5, took_s=1, now=NOW)
    assert seen.health(None, circuit=CLOSED, at=5, now=NOW).rate_limit is None


def test_what_is_remembered_does_not_grow_and_holds_no_request():
    class Request:
        pass

    def refuse(request):
        raise UpstreamTimeoutError("Late.", provider="den") from ValueError(request)

    def fail(seen):
        request = Request()
        try:
            refuse(request)
        except UpstreamTimeoutError as error:
            seen.failed(error, at=1, took_s=1, now=NOW)
        return weakref.ref(request)

    seen = Seen()
    for _ in range(3 * MOST):
        seen.succeeded(at=1, took_s=1, now=NOW)
    request = fail(seen)
    gc.collect()

    latency = seen.health(None, circuit=CLOSED, at=1, now=NOW).latency
    assert latency is not None
    assert latency.count == MOST - 1
    assert request() is None


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"ratelimit-limit": "600", "ratelimit-remaining": "599", "ratelimit-reset": "60"}, RateLimit(limit=600, remaining=599, reset_at=NOW + timedelta(seconds=60))),
        ({"x-ratelimit-limit": "600", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, RateLimit(limit=600, reset_at=NOW.replace(tzinfo=UTC) + timedelta(seconds=60))),
        ({"ratelimit-limit": "0", "ratelimit-remaining": "9999", "ratelimit-reset": "1"}, None),
        ({"ratelimit-limit": "many"}, None),
        ({"ratelimit-limit": "9" * 5000}, None),
        ({"ratelimit-limit": "4294967296"}, None),
        ({"ratelimit-limit": "5", "ratelimit-reset": "2000000000"}, RateLimit(limit=5)),
        ({"ratelimit-limit": "5", "ratelimit-reset": "1000000"}, RateLimit(limit=5, reset_at=NOW + timedelta(days=1))),
    ],
    ids=["none", "wait", "time", "unlimited", "no number", "too long", "beyond 32 bits", "far ahead", "long"],
)  # fmt: skip
def test_the_newest_answer_tells_the_limit(headers, told):
    assert rate_limit(headers, NOW) == told
