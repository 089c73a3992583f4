"""The whole gateway, as time passes and a provider breaks: what is old says so, and what was refused is gone."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import structlog
from tests import virtual
from tests.gateway import NOW, Gateway, Upstreams, running

from syncgraph import sandboxes

LIST = "{ connectors(first: 3) { nodes { name } sources { provider { name } status code fetchedAt upstreamCalls } } }"
HEALTH = "{ providers { name health { status circuit rateLimit { limit remaining resetAt } } } }"


class Live(Upstreams):
    """Whose sandboxes live in virtual time."""

    @property
    def now(self):
        return virtual.now()

    @now.setter
    def now(self, _: Any) -> None: ...


class Story:
    """What a client sees of one provider, step by step."""

    def __init__(self, gateway: Gateway, provider: str) -> None:
        self.gateway, self.provider = gateway, provider
        self.headers: httpx2.Headers = httpx2.Headers()
        self.body: dict[str, Any] = {}

    async def at(self, seconds: float, **headers: str) -> tuple[str, str | None, float | None]:
        """Status, code, and how old it is said to be; None: it does not say."""
        await asyncio.sleep(seconds - asyncio.get_running_loop().time())
        answer = await self.gateway.http.post("/graphql", json={"query": LIST}, headers=headers)
        self.headers, self.body = answer.headers, answer.json()
        sources = self.body["data"]["connectors"]["sources"]
        (its,) = [source for source in sources if source["provider"]["name"] == self.provider]
        fetched_at = its["fetchedAt"]
        age = None if fetched_at is None else (virtual.now() - _instant(fetched_at)).total_seconds()
        return its["status"], its["code"], age if its["status"] in {"OK", "STALE"} else None

    def says(self, status: int, body: object = None, **headers: str) -> None:
        self.gateway.upstreams.broken[self.provider] = lambda _: httpx2.Response(
            status,
            json=body or {"error": "no"},
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    def mends(self) -> None:
        del self.gateway.upstreams.broken[self.provider]

    @property
    def calls(self) -> int:
        return sum(sent.startswith(self.provider) for sent in self.gateway.upstreams.sent)

    async def health(self) -> dict[str, Any]:
        every = (await self.gateway.data(HEALTH))["providers"]
        return next(one["health"] for one in every if one["name"] == self.provider)


def _instant(text: str) -> Any:
    return type(NOW).fromisoformat(text)


def told(provider: str, story: Callable[[Story], Any]) -> None:
    async def tell() -> None:
        async with running(upstreams=Live(), settings=sandboxes.settings()) as gateway:
            await story(Story(gateway, provider))

    with structlog.testing.capture_logs():
        virtual.run(tell())


def test_an_answer_is_fresh_then_stale_while_it_is_read_anew_then_fresh_again():
    async def story(its: Story) -> None:
        assert await its.at(0) == ("OK", None, 0)
        assert (its.headers["cache-control"], its.headers["age"]) == ("private, max-age=10", "0")
        calls = its.calls
        assert await its.at(4.5) == ("OK", None, 4.5)
        assert (its.headers["cache-control"], its.headers["age"]) == ("private, max-age=10", "5")
        assert its.calls == calls
        assert await its.at(15) == ("STALE", None, 15)
        assert its.headers["cache-control"] == "no-store"
        assert {"provider": "timbal", "fetchedAt": "2026-11-22T09:41:07Z", "code": None} in its.body[
            "extensions"
        ]["stale"]
        assert its.calls == calls + 1
        assert await its.at(15.5) == ("OK", None, 0.5)
        assert "extensions" not in its.body
        assert its.calls == calls + 1
        assert await its.at(200) == ("OK", None, 0), "too old to be shown at all while it can be read"

    told("timbal", story)


def test_an_older_answer_stands_in_for_a_failure_for_five_minutes_and_says_why():
    async def story(its: Story) -> None:
        assert await its.at(0) == ("OK", None, 0)
        its.says(503)
        assert await its.at(60) == ("STALE", "UPSTREAM_UNAVAILABLE", 60)
        assert "errors" not in its.body
        assert [one["code"] for one in its.body["extensions"]["stale"]] == ["UPSTREAM_UNAVAILABLE"]
        for second in (61, 62, 63):
            await its.at(second)
        assert await its.at(64) == ("STALE", "UPSTREAM_CIRCUIT_OPEN", 64)
        assert (await its.health())["circuit"] == "OPEN"
        assert (await its.at(309))[0] == "STALE"
        assert (await its.at(311))[0] == "FAILED"
        its.mends()
        assert await its.at(400) == ("OK", None, 0)
        assert (await its.health())["circuit"] == "CLOSED"

    told("timbal", story)


def test_who_asks_for_what_is_new_gets_it_and_else_what_there_is():
    async def story(its: Story) -> None:
        await its.at(0)
        calls = its.calls
        assert await its.at(5, **{"cache-control": "max-age=6"}) == ("OK", None, 5)
        assert its.calls == calls
        assert await its.at(5.5, **{"cache-control": "max-age=5"}) == ("OK", None, 0)
        assert await its.at(6, **{"cache-control": "no-cache"}) == ("OK", None, 0)
        assert its.calls == calls + 2
        its.says(503)
        assert await its.at(7, **{"cache-control": "no-cache"}) == ("STALE", "UPSTREAM_UNAVAILABLE", 1)

    told("timbal", story)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "UPSTREAM_UNAUTHORIZED"), (403, "UPSTREAM_FORBIDDEN"), (404, "UPSTREAM_NOT_FOUND")],
)
def test_what_was_refused_is_never_shown_again(status, code):
    async def story(its: Story) -> None:
        assert await its.at(0) == ("OK", None, 0)
        its.says(status)
        assert await its.at(60) == ("FAILED", code, None)
        its.says(503)
        assert await its.at(61) == ("FAILED", "UPSTREAM_UNAVAILABLE", None)

    told("airweave", story)


def test_a_plan_that_is_used_up_is_said_and_not_hidden_behind_a_copy():
    async def story(its: Story) -> None:
        await its.at(0)
        its.says(402, {"error": "limit", "code": "plan_limit_reached"})
        calls = its.calls
        assert await its.at(60) == ("FAILED", "UPSTREAM_QUOTA_EXHAUSTED", None)
        assert its.calls == calls + 1, "it is not asked twice"

    told("outlit", story)


def test_dens_401_on_a_key_that_just_worked_is_a_rest_and_one_probe_and_only_then_a_refusal():
    async def story(its: Story) -> None:
        assert await its.at(0) == ("OK", None, 0)
        its.says(401, {"error": "unauthorized"})
        calls = its.calls
        assert await its.at(60) == ("STALE", "UPSTREAM_RATE_LIMITED", 60)
        assert its.calls == calls + 1
        for second in (61, 90, 123):
            assert (await its.at(second))[:2] == ("STALE", "UPSTREAM_RATE_LIMITED")
        assert its.calls == calls + 1, "nobody asks while it rests"
        assert (await its.health())["rateLimit"]["resetAt"] is not None
        assert await its.at(126) == ("FAILED", "UPSTREAM_UNAUTHORIZED", None)
        assert its.calls == calls + 3, "one probe, and the reader's own"

    told("den", story)


def test_dens_rest_is_over_when_its_probe_is_answered():
    async def story(its: Story) -> None:
        await its.at(0)
        its.says(401, {"error": "unauthorized"})
        assert (await its.at(60))[:2] == ("STALE", "UPSTREAM_RATE_LIMITED")
        its.mends()
        calls = its.calls
        assert await its.at(125.5) == ("OK", None, 0.5)
        assert its.calls == calls + 1

    told("den", story)


@pytest.mark.parametrize(("replicas", "left"), [(1, 47), (4, 11)])
def test_a_configured_limit_is_kept_shared_by_replicas_and_shown(replicas, left):
    async def tell() -> None:
        every = sandboxes.settings()
        timbal = every.providers["timbal"].model_copy(update={"requests_per_minute": 60})
        settings = replace(
            every,
            server=every.server.model_copy(update={"replicas": replicas}),
            providers={"timbal": timbal},
        )
        async with running(upstreams=Live(), settings=settings) as gateway:
            its = Story(gateway, "timbal")
            await its.at(0)
            assert (await its.health())["rateLimit"] == {"limit": 60, "remaining": left, "resetAt": None}
            for second in range(1, 59):
                await its.at(second, **{"cache-control": "no-cache"})
            assert its.calls == left + 1
            assert (await its.health())["rateLimit"]["remaining"] == 0

    with structlog.testing.capture_logs():
        virtual.run(tell())


def test_a_429_is_not_followed_by_a_call_before_its_time_and_is_shown():
    async def story(its: Story) -> None:
        await its.at(0)
        its.says(429, retry_after="30", ratelimit_limit="100", ratelimit_remaining="0")
        calls = its.calls
        assert await its.at(60) == ("STALE", "UPSTREAM_RATE_LIMITED", 60)
        limit = (await its.health())["rateLimit"]
        assert (limit["limit"], limit["remaining"], limit["resetAt"]) == (100, 0, "2026-11-22T09:42:37Z")
        its.mends()
        assert (await its.at(88.9))[0] == "STALE"
        assert its.calls == calls + 1
        assert await its.at(91) == ("OK", None, 1.0)

    told("airweave", story)
