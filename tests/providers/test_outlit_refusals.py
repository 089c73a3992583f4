"""What Outlit's refusals mean, its configuration, and what the doctor makes of it."""

from datetime import timedelta

import httpx2
import pytest
from tests.contract.suite import (
    NOW,
    _no_waiting,  # noqa: F401 - autouse
    answering,
    bound,
)

from syncgraph import errors
from syncgraph.config import ConfigError, parse
from syncgraph.ports import Scope
from syncgraph.providers.outlit import adapter, sandbox

REST, GATEWAY = "integrations", "tool-gateway"


def over(transport, contract, **kwargs):
    return bound(
        adapter, transport, {"base_url": "https://upstream.test", **sandbox.settings(contract)}, **kwargs
    )


async def refusal(contract, status, body, **headers):
    """The error of the list of integrations, and how often it was asked for."""
    async with over(answering(httpx2.Response(status, json=body, headers=headers)), contract) as (its, calls):
        with pytest.raises(errors.UpstreamError) as raised:
            await its.connector_feed.page(Scope(), first=5, after=None)
    return raised.value, len(calls.sent)


def gateway_error(code, *, retryable=False, **more):
    return {"code": code, "message": "as it says", "retryable": retryable, "requestId": "req_1", **more}


# ---- the contract is not there


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_a_withdrawn_rest_route_is_a_contract_that_is_gone_and_never_an_empty_list(status):
    async with over(answering(httpx2.Response(status, html="<h1>Not found")), REST) as (provider, _):
        for ask in (provider.connector_feed.page(Scope(), first=5, after=None), provider.sync_feed.scopes()):
            with pytest.raises(errors.UpstreamGoneError, match='contract = "tool-gateway"'):
                await ask
        (connector,) = await provider.connector_lookup.find_connectors(["hubspot"])
        (sync,) = await provider.sync_lookup.find_syncs(["hubspot/HubspotContact"])
        (head,) = await provider.sync_feed.first_pages([Scope("hubspot")], first=5)

    assert {type(found) for found in (connector, sync, head)} == {errors.UpstreamGoneError}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {}),
        (405, {}),
        (410, {}),
        (400, gateway_error("INVALID_TOOL_CALL")),
        (404, gateway_error("TOOL_BINDING_MISSING")),
        (503, gateway_error("TOOL_BINDING_MISSING")),
        (400, {"error": "Invalid tool call", "details": [{"path": ["tool"], "message": "Invalid option"}]}),
    ],
)
async def test_a_server_without_the_readiness_tool_is_a_contract_that_is_gone(status, body):
    error, _ = await refusal(GATEWAY, status, body)

    assert isinstance(error, errors.UpstreamGoneError)
    assert 'contract = "integrations"' in str(error)


async def test_each_sandbox_is_gone_to_the_other_contract():
    for served, configured in ((REST, GATEWAY), (GATEWAY, REST)):
        app = sandbox.app(clock=lambda: NOW, contract=served)
        async with over(httpx2.ASGITransport(app=app), configured, credential=sandbox.KEY) as (provider, _):
            with pytest.raises(errors.UpstreamGoneError):
                await provider.connector_feed.page(Scope(), first=5, after=None)


# ---- plans and retries


@pytest.mark.parametrize(
    ("contract", "status", "body"),
    [
        (REST, 402, {"error": "x", "code": "api_limit_exceeded", "resetAt": 1795341600000}),
        (REST, 429, {"error": "x", "code": "api_limit_exceeded", "resetAt": 1795341600000}),
        (REST, 403, {"error": "x", "code": "plan_connection_limit_exceeded", "limit": 3}),
        (GATEWAY, 402, gateway_error("plan_billing_action_required")),
        (GATEWAY, 403, gateway_error("plan_billing_action_required")),
        (GATEWAY, 429, gateway_error("plan_api_limit_exceeded", resetAt=1795341600000)),
        (GATEWAY, 429, gateway_error("TOOL_GATEWAY_ERROR")),
    ],
)
async def test_a_plan_s_limit_is_a_quota_and_not_asked_again(contract, status, body):
    error, calls = await refusal(contract, status, body)

    assert isinstance(error, errors.UpstreamQuotaError)
    assert calls == 1


@pytest.mark.parametrize(
    ("status", "body", "expected", "asked"),
    [
        (429, gateway_error("plan_api_limit_exceeded", retryable=True), errors.UpstreamRateLimitedError, 1),
        (429, {}, errors.UpstreamRateLimitedError, 1),
        (503, gateway_error("TOOL_GATEWAY_ERROR", retryable=True), errors.UpstreamUnavailableError, 2),
        (409, gateway_error("TOOL_GATEWAY_ERROR", retryable=True), errors.UpstreamUnavailableError, 2),
        (422, gateway_error("TOOL_GATEWAY_ERROR", retryable=False), errors.UpstreamContractError, 1),
        (500, gateway_error("TOOL_IMPLEMENTATION_ERROR"), errors.UpstreamContractError, 1),
        (502, gateway_error("TOOL_OUTPUT_INVALID"), errors.UpstreamContractError, 1),
        (400, gateway_error("INVALID_TOOL_INPUT"), errors.UpstreamContractError, 1),
        (401, gateway_error("INVALID_CREDENTIALS"), errors.UpstreamAuthError, 1),
        (403, gateway_error("TOOL_CALL_FORBIDDEN"), errors.UpstreamForbiddenError, 1),
    ],
)
async def test_the_gateway_s_own_word_decides_whether_it_is_asked_again(status, body, expected, asked):
    error, calls = await refusal(GATEWAY, status, body)

    assert (type(error), calls) == (expected, asked)


@pytest.mark.parametrize("body", [[], "no", {"code": 3}, {"error": None}])
async def test_a_refusal_of_an_unknown_shape_is_judged_by_its_status(body):
    for contract in (REST, GATEWAY):
        error, _ = await refusal(contract, 400, body)

        assert type(error) is errors.UpstreamContractError


async def test_outlit_s_own_words_are_not_passed_on():
    error, _ = await refusal(REST, 500, {"error": "connect ECONNREFUSED 10.0.3.7:5432"})

    assert "10.0.3.7" not in str(error)


async def test_a_used_up_allowance_of_the_sandbox_comes_back_with_the_next_minute():
    now = [NOW]
    for contract, path in ((REST, "GET /api/integrations"), (GATEWAY, "POST /api/tools/call")):
        app = sandbox.app(clock=lambda: now[0], contract=contract, limits=True)
        transport, headers = httpx2.ASGITransport(app=app), {"authorization": f"Bearer {sandbox.KEY}"}
        async with httpx2.AsyncClient(transport=transport, base_url="https://upstream.test") as client:
            body = {"tool": "outlit_get_integration_status"} if path.startswith("POST") else None
            method, url = path.split()
            for _ in range(sandbox.ALLOWANCE):
                assert (await client.request(method, url, json=body, headers=headers)).status_code == 200
        async with over(transport, contract, credential=sandbox.KEY) as (provider, _):
            with pytest.raises(errors.UpstreamQuotaError):
                await provider.connector_feed.page(Scope(), first=5, after=None)
        now[0] += timedelta(minutes=1)
        async with over(transport, contract, credential=sandbox.KEY) as (provider, _):
            assert (await provider.connector_feed.page(Scope(), first=5, after=None)).items


# ---- settings


def test_only_the_key_is_needed(monkeypatch):
    monkeypatch.setenv("OUTLIT_KEY", sandbox.KEY)
    raw = {"providers": {"crm": {"kind": "outlit", "credential": "env:OUTLIT_KEY"}}}
    its = parse(raw, {"outlit": adapter.settings}).providers["crm"]
    assert isinstance(its, adapter.settings)

    assert (its.contract, its.base_url) == (REST, "https://app.outlit.ai")
    assert adapter.dialect(its).headers == {"authorization": f"Bearer {sandbox.KEY}"}
    assert sandbox.KEY not in repr(adapter.dialect(its))


def test_a_contract_that_outlit_never_had_is_a_mistake_that_names_those_it_has(monkeypatch):
    monkeypatch.setenv("OUTLIT_KEY", sandbox.KEY)
    raw = {"providers": {"crm": {"kind": "outlit", "contract": "v2", "credential": "env:OUTLIT_KEY"}}}

    with pytest.raises(ConfigError, match=r"providers\.crm\.contract.*integrations.*tool-gateway"):
        parse(raw, {"outlit": adapter.settings})


# ---- the doctor


def routed(routes, **headers):
    """An Outlit with these routes: path to (status, body); any other is 404."""

    def handle(request):
        status, body = routes.get(request.url.path, (404, {"error": "Not found"}))
        return httpx2.Response(status, json=body, headers=headers)

    return httpx2.MockTransport(handle)


VALID = (200, {"valid": True, "organizationId": "org_1"})
REFUSED = (401, {"valid": False, "error": "Invalid credentials"})
UNCHECKED = (503, {"valid": False, "error": "API-key validation unavailable"})
NO_INTEGRATIONS: dict[str, list] = {"integrations": []}


async def diagnosis(contract, routes, *, credential=sandbox.KEY, **headers):
    async with over(routed(routes, **headers), contract, credential=credential) as (provider, calls):
        return await provider.probe.diagnose(), calls.sent


async def test_the_doctor_asks_three_calls_and_knows_the_organisation():
    app = sandbox.app(clock=lambda: NOW, contract=REST)
    async with over(httpx2.ASGITransport(app=app), REST, credential=sandbox.KEY) as (provider, calls):
        found = await provider.probe.diagnose()

    assert (found.server, found.served, found.advice) == ("Outlit, organisation org_acme", (REST,), ())
    assert sorted(calls.sent) == [
        "GET /api/integrations",
        "POST /api/tools/call",
        "POST /api/validate-api-key",
    ]


async def test_the_doctor_tells_which_contract_to_configure_when_rest_was_withdrawn():
    found, _ = await diagnosis(
        REST, {"/api/validate-api-key": VALID, "/api/tools/call": (200, NO_INTEGRATIONS)}
    )

    assert (found.authorised, found.served) == (True, (GATEWAY,))
    assert isinstance(found.error, errors.UpstreamGoneError)
    assert 'contract = "tool-gateway"' in found.advice[0]


async def test_the_doctor_prefers_the_contract_that_tells_syncs():
    routes = {"/api/validate-api-key": VALID, "/api/integrations": (200, {"items": []})}
    found, _ = await diagnosis(GATEWAY, {**routes, "/api/tools/call": (200, NO_INTEGRATIONS)})

    assert (found.served, found.error) == ((REST, GATEWAY), None)
    assert 'contract = "integrations"' in found.advice[0]


async def test_the_doctor_does_not_go_on_with_a_refused_key():
    found, sent = await diagnosis(REST, {"/api/validate-api-key": REFUSED})

    assert (found.reachable, found.authorised, len(sent)) == (True, False, 1)
    assert isinstance(found.error, errors.UpstreamAuthError)


async def test_the_doctor_sees_a_key_that_is_not_one_of_the_api():
    found, _ = await diagnosis(REST, {"/api/validate-api-key": REFUSED}, credential="pk_live_0123456789")

    assert "begin with ok_" in found.advice[0]


async def test_a_key_called_invalid_with_200_is_refused():
    found, _ = await diagnosis(REST, {"/api/validate-api-key": (200, {"valid": False, "error": "expired"})})

    assert (found.authorised, found.error, len(found.advice)) == (False, None, 1)


async def test_a_key_store_that_is_down_says_nothing_against_the_key():
    found, _ = await diagnosis(REST, {"/api/validate-api-key": UNCHECKED})
    working, _ = await diagnosis(
        REST, {"/api/validate-api-key": UNCHECKED, "/api/integrations": (200, {"items": []})}
    )

    assert (found.reachable, found.authorised) == (True, None)
    assert (working.authorised, working.error, working.served) == (True, None, (REST,))
    assert "says nothing against it" in found.advice[0]
    assert "says nothing against it" in working.advice[0]


async def test_the_doctor_reads_the_clock_and_the_limits_from_the_headers():
    found, _ = await diagnosis(
        REST,
        {"/api/validate-api-key": VALID, "/api/integrations": (200, {"items": []})},
        **{
            "date": "Sun, 22 Nov 2026 09:41:12 GMT",
            "x-ratelimit-limit": "100",
            "x-ratelimit-remaining": "97",
        },
    )

    assert (found.clock_skew, found.limits) == (timedelta(seconds=5), "97 of 100 requests left")


async def test_the_doctor_says_when_there_is_no_outlit_at_all():
    found, _ = await diagnosis(REST, {})

    assert (found.reachable, found.authorised, found.served) == (True, None, ())
    assert found.advice == ("No contract answers there: check base_url.",)


async def test_the_doctor_does_not_advise_another_contract_over_an_outage():
    routes = {"/api/validate-api-key": VALID, "/api/integrations": (503, {"error": "x"})}
    found, _ = await diagnosis(REST, {**routes, "/api/tools/call": (200, NO_INTEGRATIONS)})

    assert (found.served, found.advice) == ((GATEWAY,), ())
    assert isinstance(found.error, errors.UpstreamUnavailableError)


async def test_the_doctor_tells_a_key_without_the_right_from_a_bad_one():
    forbidden = (403, gateway_error("TOOL_CALL_FORBIDDEN"))
    found, _ = await diagnosis(GATEWAY, {"/api/validate-api-key": VALID, "/api/tools/call": forbidden})

    assert (found.authorised, type(found.error)) == (True, errors.UpstreamForbiddenError)
    assert "lacks the right" in found.advice[0]


async def test_an_outlit_that_does_not_answer_is_not_reachable_and_asked_no_further():
    async with over(answering(httpx2.ConnectError("no")), REST) as (provider, calls):
        found = await provider.probe.diagnose()

    assert (found.reachable, found.authorised) == (False, None)
    assert isinstance(found.error, errors.UpstreamUnavailableError)
    assert set(calls.sent) == {"POST /api/validate-api-key"}
