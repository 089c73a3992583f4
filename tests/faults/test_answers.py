"""F32 to F38: a provider that answers well and says no."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime

from tests.faults.cells import cell
from tests.faults.faultd import CANARY, Exchange, nothing_wrong
from tests.faults.stage import NOW, Asked, credential_of, healthy, is_unharmed, staged, suffers
from tests.faults.test_bodies import says

from syncgraph.config import CacheSettings

DOWN, BAD, LIMITED = "UPSTREAM_UNAVAILABLE", "UPSTREAM_BAD_RESPONSE", "UPSTREAM_RATE_LIMITED"
QUICK_S = 0.3


def said(kind: str) -> Mapping[str, str]:
    """A body that holds what nobody may see, in all the fields that a provider may explain itself in."""
    text = f"{CANARY} {credential_of(kind)} https://internal/{CANARY}"
    return {"error": text, "message": text, "detail": text}


@cell("F32")
async def test_a_server_error_is_unavailable_after_one_retry(kind: str):
    for status in (500, 502, 504):
        await suffers(kind, DOWN, within_s=1.0, calls=2, fault=says(said(kind), status))


@cell("F33")
async def test_a_short_rest_is_waited_for_once_and_a_long_one_is_told(kind: str):
    async def rests_a_second(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.reply(said(kind), 503, retry_after="1")
        else:
            await nothing_wrong(exchange)

    await is_unharmed(kind, within_s=1.3, calls=2, fault=rests_a_second)
    asked = await suffers(kind, DOWN, within_s=QUICK_S, fault=says(said(kind), 503, retry_after="86400"))
    assert near(asked, kind, timedelta(hours=1)), "the longest that is believed"


def near(asked: Asked, kind: str, wait: timedelta) -> bool:
    """Whether ``retryAfter`` lies that far ahead of the operation, give or take a second."""
    told = asked.source(kind)["error"]["retryAfter"]
    began, ended = asked.between
    second = timedelta(seconds=1)
    return told is not None and began + wait - second <= datetime.fromisoformat(told) <= ended + wait + second


@cell("F34")
async def test_a_rate_limit_is_told_with_its_end_and_kept_to(kind: str):
    wait = timedelta(seconds=40)
    ends = {
        "in seconds": {"retry_after": "40"},
        "as a date, by a clock that is an hour wrong": {
            "date": format_datetime(NOW + timedelta(hours=1), usegmt=True),
            "retry_after": format_datetime(NOW + timedelta(hours=1) + wait, usegmt=True),
        },
        "as a time since 1970": {
            "ratelimit_limit": "10",
            "ratelimit_remaining": "0",
            "ratelimit_reset": str(int((NOW + wait).timestamp())),
        },
    }
    for headers in ends.values():
        asked = await limited(kind, **headers)
        assert near(asked, kind, wait), headers
    await limited(kind)


async def limited(kind: str, **headers: str) -> Asked:
    """One refusal, and then no call until its end."""
    async with staged(kind, fault=says(said(kind), 429, **headers)) as stage:
        first, second = await stage.ask(), await stage.ask()
        assert first.source(kind)["code"] == second.source(kind)["code"] == LIMITED
        assert (first.calls[kind], second.calls[kind]) == (1, 0)
        assert first.took_s <= QUICK_S
    return first


@cell("F34")
async def test_during_a_rate_limit_older_rows_are_shown_and_said_to_be_old(kind: str):
    async with staged(kind, cache=CacheSettings()) as stage:
        await stage.ask()
        stage.server.fault = says(said(kind), 429, retry_after="40")
        asked = await stage.ask(max_age_s=0)
        assert asked.part(kind)["connectors"]["nodes"] == (await healthy()).part(kind)["connectors"]["nodes"]
        assert (asked.source(kind)["status"], asked.source(kind)["code"]) == ("STALE", LIMITED)


@cell("F35")
async def test_once_a_credential_is_refused_nothing_older_is_shown_any_more(kind: str):
    """Den says the same of a key that it throttles: that is a rate limit until it is confirmed."""
    for status in (401, 403):
        async with staged(kind, cache=CacheSettings()) as stage:
            await stage.ask()
            stage.server.fault = says(said(kind), status)
            refused = await stage.ask(max_age_s=0)
            if (kind, status) == ("den", 401):
                assert (refused.source(kind)["status"], refused.source(kind)["code"]) == ("STALE", LIMITED)
                continue
            assert refused.part(kind)["connectors"]["nodes"] == []
            stage.server.fault = says(said(kind), 500)
            broken = await stage.ask()
            assert broken.part(kind)["connectors"]["nodes"] == []
            assert broken.source(kind)["code"] == DOWN


@cell("F35")
async def test_a_refused_credential_is_told_and_not_tried_again(kind: str):
    refusals = {401: "UPSTREAM_UNAUTHORIZED", 403: "UPSTREAM_FORBIDDEN"}
    for status, code in refusals.items():
        await suffers(kind, code, within_s=QUICK_S, fault=says(said(kind), status))


@cell("F36")
async def test_a_plan_that_is_used_up_is_told_and_not_tried_again(kind: str):
    await suffers(
        kind,
        "UPSTREAM_QUOTA_EXHAUSTED",
        within_s=QUICK_S,
        fault=says({**said(kind), "code": "plan_limit"}, 402),
    )


ONE = (
    "query ($p: String!, $id: String!) { sync(provider: $p, externalId: $id) { externalId name rawStatus } }"
)
SYNCS = "query { syncs(first: 100) { nodes { externalId providerName name rawStatus } } }"


async def two_syncs(kind: str) -> tuple[str, str]:
    nodes = (await healthy(SYNCS)).body["data"]["syncs"]["nodes"]
    first, *_, last = [node["externalId"] for node in nodes if node["providerName"] == kind]
    return first, last


ABSENT: Mapping[str, tuple[int, Mapping[str, object]]] = {
    "den": (404, {"error": "connector_target_not_found", "message": CANARY}),
    "timbal": (404, {"code": "NOT_FOUND", "message": CANARY}),
    "outlit": (400, {"error": f"Invalid request {CANARY}", "details": []}),
    "airweave": (404, {"detail": f"SourceConnection not found {CANARY}"}),
}
"""How each says that there is no such thing."""


@cell("F37")
async def test_what_is_not_there_is_null_and_no_failure(kind: str):
    wanted, _ = await two_syncs(kind)
    status, body = ABSENT[kind]
    async with staged(kind, fault=says(body, status)) as stage:
        for _ in range(6):
            asked = await stage.ask(ONE, p=kind, id=wanted)
            assert asked.body == {"data": {"sync": None}}
        stage.server.fault = nothing_wrong
        asked = await stage.ask()
        assert asked.part(kind) == (await healthy()).part(kind), "it counted for the breaker"


@cell("F38")
async def test_another_thing_than_the_one_asked_for_is_a_bad_response_and_never_shown(kind: str):
    wanted, other = await two_syncs(kind)

    async def answers_with_another(exchange: Exchange) -> None:
        target = exchange.target
        for asked_for, another in zip(wanted.split("/"), other.split("/"), strict=True):
            target = target.replace(asked_for, another)
        answer = await exchange.healthy(target)
        assert target != exchange.target
        await exchange.reply(answer.body, answer.status)

    async with staged(kind, fault=answers_with_another) as stage:
        asked = await stage.ask(ONE, p=kind, id=wanted)
        assert asked.body["data"]["sync"] is None
        assert asked.codes() == {(kind, BAD)}
