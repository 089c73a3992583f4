"""Outlit's adapter: the contract of every provider, its words, and the quirks of /api/integrations*."""

import httpx2
import pytest
from tests.contract.suite import (
    NOW,
    ProviderContract,
    _no_waiting,  # noqa: F401 - autouse
    answering,
    bound,
)

from syncgraph import errors
from syncgraph.domain.details import OutlitSyncDetails
from syncgraph.domain.model import ConnectorKey, ConnectorStatus, Coverage, RunStatus, SyncExtra, SyncState
from syncgraph.domain.page import Page
from syncgraph.ports import Scope
from syncgraph.providers.outlit import adapter, mapping, wire
from syncgraph.providers.outlit import sandbox as outlit

REST, GATEWAY = "integrations", "tool-gateway"
LIST = "GET /api/integrations"


class TestRest(ProviderContract):
    adapter = adapter
    contract = REST
    sandbox = staticmethod(outlit.app)
    table = staticmethod(outlit.settings)
    key = outlit.KEY


class TestToolGateway(ProviderContract):
    adapter = adapter
    contract = GATEWAY
    sandbox = staticmethod(outlit.app)
    table = staticmethod(outlit.settings)
    key = outlit.KEY


def sandboxed(contract):
    transport = httpx2.ASGITransport(app=outlit.app(clock=lambda: NOW, contract=contract))
    table = {"base_url": "https://upstream.test", **outlit.settings(contract)}
    return bound(adapter, transport, table, credential=outlit.KEY)


def over(transport, contract=REST):
    return bound(adapter, transport, {"base_url": "https://upstream.test", **outlit.settings(contract)})


def serving(*, rows=(), provider="hubspot", status="connected", listed=None):
    """Outlit with one integration whose sync status has ``rows``."""
    listing = {"items": listed or [{"id": provider, "name": "HubSpot", "category": "crm", "status": status}]}
    detail = {"provider": provider, "name": "H", "category": "crm", "status": status, "syncs": list(rows)}

    def handle(request):
        return httpx2.Response(200, json=detail if request.url.path.endswith("/sync-status") else listing)

    return httpx2.MockTransport(handle)


async def syncs_of(*rows):
    async with over(serving(rows=rows)) as (provider, _):
        return list((await provider.sync_feed.page(Scope("hubspot"), first=9, after=None)).items)


def row(**given):
    return {
        "model": "HubspotContact",
        "status": "SUCCESS",
        "lastSyncedAt": "2026-11-22T09:00:00.000Z",
        **given,
    }


async def sync_of(**given):
    (sync,) = await syncs_of(row(**given))
    return sync


# ---- words


def test_every_word_of_a_sync_that_is_documented_or_seen_is_mapped():
    documented = {"success", "failed", "pending"}
    in_the_cli = {"syncing", "complete", "idle"}
    as_nango = {"running", "paused", "stopped", "error"}
    ours = {"completed", "not_connected"}

    assert set(mapping.STATUS) == documented | in_the_cli | as_nango | ours


def test_every_word_of_an_integration_in_any_era_is_mapped():
    rest = {"connected", "not_connected"}
    gateway_of_august_8 = {"available", "connected", "setup_required"}
    gateway = {"not_connected", "awaiting_auth", "setup_required", "ready", "requires_intervention"}

    assert set(mapping.CONNECTOR_STATUS) == rest | gateway_of_august_8 | gateway


@pytest.mark.parametrize(
    ("word", "state", "outcome"),
    [
        ("PENDING", SyncState.QUEUED, None),
        ("syncing", SyncState.RUNNING, None),
        ("RUNNING", SyncState.RUNNING, None),
        ("SUCCESS", SyncState.IDLE, RunStatus.SUCCEEDED),
        ("complete", SyncState.IDLE, RunStatus.SUCCEEDED),
        ("Completed", SyncState.IDLE, RunStatus.SUCCEEDED),
        ("FAILED", SyncState.IDLE, RunStatus.FAILED),
        ("ERROR", SyncState.IDLE, RunStatus.FAILED),
        ("STOPPED", SyncState.IDLE, RunStatus.CANCELLED),
        ("idle", SyncState.IDLE, None),
        ("PAUSED", SyncState.PAUSED, None),
        ("not_connected", SyncState.DISABLED, None),
        ("active", SyncState.UNKNOWN, None),
        ("REHYDRATING", SyncState.UNKNOWN, None),
        ("", SyncState.UNKNOWN, None),
    ],
)
async def test_a_word_is_read_in_any_case_and_kept_verbatim(word, state, outcome):
    for spelt in (word, word.upper(), word.lower(), f" {word} "):
        sync = await sync_of(status=spelt)

        assert (sync.state, sync.last_outcome, sync.raw_status) == (state, outcome, spelt)


@pytest.mark.parametrize(
    ("word", "state", "outcome"),
    [
        ("SUCCESS", SyncState.NEVER_RUN, None),
        ("idle", SyncState.NEVER_RUN, None),
        ("STOPPED", SyncState.NEVER_RUN, None),
        ("FAILED", SyncState.IDLE, RunStatus.FAILED),
        ("PENDING", SyncState.QUEUED, None),
        ("syncing", SyncState.RUNNING, None),
        ("PAUSED", SyncState.PAUSED, None),
        ("REHYDRATING", SyncState.UNKNOWN, None),
    ],
)
async def test_without_last_synced_at_a_sync_never_ran_unless_its_word_says_otherwise(word, state, outcome):
    missing = await syncs_of(
        {"model": "A", "status": word}, {"model": "B", "status": word, "lastSyncedAt": None}
    )

    assert [(sync.state, sync.last_outcome, sync.last_run_at) for sync in missing] == [
        (state, outcome, None)
    ] * 2


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("connected", ConnectorStatus.CONNECTED),
        ("READY", ConnectorStatus.CONNECTED),
        ("not_connected", ConnectorStatus.NOT_CONNECTED),
        ("available", ConnectorStatus.NOT_CONNECTED),
        ("awaiting_auth", ConnectorStatus.AWAITING_SETUP),
        ("setup_required", ConnectorStatus.AWAITING_SETUP),
        ("requires_intervention", ConnectorStatus.ERROR),
        ("retired", ConnectorStatus.UNKNOWN),
    ],
)
def test_an_integration_s_word_is_read_in_any_case_and_kept_verbatim(word, status):
    connector = mapping.connector("acme", wire.Integration("hubspot", "HubSpot", "crm", word))

    assert (connector.status, connector.raw_status) == (status, word)
    assert connector.key == ConnectorKey("acme", "hubspot")
    assert (connector.name, connector.source_type, connector.category) == ("HubSpot", "hubspot", "crm")
    assert connector.ordered_at is None


# ---- fields


async def test_what_outlit_never_tells_of_a_sync_is_none():
    sync = await sync_of()

    assert (sync.ordered_at, sync.enabled, sync.expected_interval, sync.created_at) == (None,) * 4
    assert sync.extra == SyncExtra(schedule=None, details=OutlitSyncDetails(model="HubspotContact"))
    assert (sync.name, sync.stream) == ("HubspotContact", "HubspotContact")


async def test_o4_last_synced_at_is_the_last_success_only_beside_a_success():
    success, failed, syncing = await syncs_of(
        row(model="A"), row(model="B", status="FAILED"), row(model="C", status="syncing")
    )

    assert success.last_success_at == success.last_run_at == NOW.replace(hour=9, minute=0, second=0)
    assert failed.last_success_at is syncing.last_success_at is None
    assert failed.last_run_at == syncing.last_run_at == success.last_run_at


async def test_o5_an_error_message_beside_a_success_is_shown_and_is_no_failure():
    sync = await sync_of(errorMessage="Rate limited, will retry")

    assert (sync.last_outcome, sync.last_error.message) == (RunStatus.SUCCEEDED, "Rate limited, will retry")


async def test_a_failure_without_a_message_has_no_error():
    for nothing in (None, "", "  "):
        sync = await sync_of(status="FAILED", errorMessage=nothing)

        assert (sync.last_outcome, sync.last_error) == (RunStatus.FAILED, None)


async def test_a_secret_in_an_error_message_is_not_passed_on():
    sync = await sync_of(status="FAILED", errorMessage="401: api_key=sk_live_abc123def was refused")

    assert sync.last_error.message == "401: api_key=*** was refused"


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-11-22T09:00Z", 9), ("2026-11-22T10:00:00.123456+01:00", 9), ("2026-11-22T09:00:00", 9)],
)
async def test_an_instant_is_read_in_the_forms_that_outlit_s_patterns_allow(text, hour):
    sync = await sync_of(lastSyncedAt=text)

    assert (sync.last_run_at.hour, sync.last_run_at.utcoffset().total_seconds()) == (hour, 0)


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+14:00"])
async def test_an_instant_that_cannot_be_read_costs_neither_the_row_nor_its_outcome(text):
    sync = await sync_of(lastSyncedAt=text)

    assert (sync.last_run_at, sync.last_outcome) == (None, RunStatus.SUCCEEDED)


# ---- O-1: no ids


async def test_o1_a_sync_is_named_by_integration_and_model():
    sync = await sync_of()

    assert sync.key == ("acme", "hubspot/HubspotContact")
    assert sync.connector == ("acme", "hubspot")


async def test_o1_a_blank_model_is_left_out():
    assert [sync.name for sync in await syncs_of(row(model=""), row(model=" \t"), row(model="A"))] == ["A"]


async def test_o1_a_repeated_model_keeps_all_its_rows_by_an_index_in_their_order():
    rows = await syncs_of(row(model="Event"), row(model="User"), row(model="Event", status="FAILED"))

    assert [(sync.key.id, sync.name, sync.raw_status) for sync in rows] == [
        ("hubspot/Event", "Event", "SUCCESS"),
        ("hubspot/User", "User", "SUCCESS"),
        ("hubspot/Event#2", "Event", "FAILED"),
    ]


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["a", "a", "a"], ["a", "a#2", "a#3"]),
        (["a", "a#2", "a"], ["a", "a#2", "a#3"]),
        (["a", "a", "a#2", "a", "a#2"], ["a", "a#3", "a#2", "a#4", "a#2#2"]),
        (["a"] * 2 + ["a#2", "a#3"], ["a", "a#4", "a#2", "a#3"]),
        ([], []),
    ],
)
def test_o1_an_index_never_makes_two_models_one(models, names):
    assert mapping.distinct(models) == names


async def test_o1_every_sync_that_is_listed_can_be_looked_up_whatever_its_model_is_called():
    models = ["Event", "Event", "a/b", "Ärger 100%", "x" * 120, "line\nbreak", "#2", "x" * 120]
    async with over(serving(rows=[row(model=model) for model in models])) as (provider, _):
        page = await provider.sync_feed.page(Scope("hubspot"), first=9, after=None)
        ids = [sync.key.id for sync in page.items]
        found = await provider.sync_lookup.find_syncs(ids)

    assert [sync.key.id for sync in found] == ids
    assert len(set(ids)) == len(models)


async def test_a_model_of_another_shape_is_none_without_a_call():
    async with sandboxed(REST) as (provider, calls):
        found = await provider.sync_lookup.find_syncs(
            ["stripe/", "stripe/ ", "stripe", "/StripeCharge", "Stripe/StripeCharge", "stripe/" + "x" * 121]
        )

    assert list(found) == [None] * 6
    assert calls.sent == []


# ---- O-2


async def test_o2_the_undocumented_record_count_is_let_through():
    assert (await sync_of(recordCount=1250)).last_outcome is RunStatus.SUCCEEDED


# ---- O-3: one call per integration


async def test_o3_the_list_of_integrations_is_one_call_with_all_twelve():
    async with sandboxed(REST) as (provider, calls):
        page = await provider.connector_feed.page(Scope(), first=2, after=None)

    assert (len(page.items), page.next, page.coverage) == (12, None, Coverage.FULL)
    assert calls.sent == [LIST]


async def test_o3_only_connected_integrations_are_asked_for_their_syncs():
    async with sandboxed(REST) as (provider, calls):
        scopes = await provider.sync_feed.scopes()
        pages = await provider.sync_feed.first_pages(scopes, first=20)

    linked = ["hubspot", "slack", "google-calendar", "google-mail", "posthog", "stripe", "supabase"]
    assert [scope.connector_id for scope in scopes] == linked
    assert {page.coverage for page in pages} == {Coverage.FULL}
    assert sorted(calls.sent) == sorted([LIST, *(f"{LIST}/sync-status?provider={its}" for its in linked)])


async def test_o3_an_unconnected_integration_has_an_empty_page_without_a_call_of_its_own():
    async with sandboxed(REST) as (provider, calls):
        page = await provider.sync_feed.page(Scope("attio"), first=5, after=None)

    assert page == Page([], None, Coverage.FULL)
    assert calls.sent == [LIST]


async def test_an_integration_of_an_unknown_word_is_not_known_to_be_empty():
    async with over(serving(rows=[row()], status="degraded")) as (provider, _):
        (scope,) = await provider.sync_feed.scopes()
        page = await provider.sync_feed.page(scope, first=5, after=None)

    assert len(page.items) == 1


async def test_a_connected_integration_without_models_is_an_empty_page():
    assert await syncs_of() == []


async def test_syncs_are_looked_up_by_one_call_per_integration_and_without_the_list():
    async with sandboxed(REST) as (provider, calls):
        found = await provider.sync_lookup.find_syncs(
            [
                "stripe/StripeCharge",
                "slack/SlackUser",
                "stripe/StripeCustomer",
                "stripe/Nope",
                "attio/AttioPerson",
            ]
        )

    assert [sync and sync.name for sync in found] == [
        "StripeCharge",
        "SlackUser",
        "StripeCustomer",
        None,
        None,
    ]
    assert sorted(calls.sent) == [
        f"{LIST}/sync-status?provider={its}" for its in ("attio", "slack", "stripe")
    ]


async def test_one_integration_s_failure_is_the_answer_for_its_own_syncs_only():
    def handle(request):
        its = request.url.params["provider"]
        if its == "slack":
            return httpx2.Response(500, json={"error": "Internal server error"})
        return httpx2.Response(200, json={"provider": its, "syncs": [row()]})

    async with over(httpx2.MockTransport(handle)) as (provider, _):
        slack, hubspot = await provider.sync_lookup.find_syncs(["slack/SlackUser", "hubspot/HubspotContact"])

    assert isinstance(slack, errors.UpstreamUnavailableError)
    assert hubspot.name == "HubspotContact"


async def test_an_integration_that_outlit_does_not_know_is_none_by_its_400():
    async with sandboxed(REST) as (provider, calls):
        found = await provider.sync_lookup.find_syncs(["sheets/Row"])

    assert list(found) == [None]
    assert calls.sent == [f"{LIST}/sync-status?provider=sheets"]


async def test_the_list_of_an_integration_that_outlit_does_not_know_is_an_error_and_not_empty():
    async with sandboxed(REST) as (provider, _):
        with pytest.raises(errors.UpstreamNotFoundError):
            await provider.sync_feed.page(Scope("sheets"), first=5, after=None)


async def test_an_alias_that_outlit_resolves_is_no_second_id():
    async with sandboxed(REST) as (provider, calls):
        by_alias, by_id = await provider.sync_lookup.find_syncs(
            ["gmail/GmailThread", "google-mail/GmailThread"]
        )
        aliased = await provider.connector_lookup.find_connectors(["gmail"])

    assert isinstance(by_alias, errors.UpstreamContractError)
    assert by_id.connector.id == "google-mail"
    assert list(aliased) == [None]
    assert f"{LIST}/sync-status?provider=gmail" in calls.sent


async def test_an_integration_beyond_the_published_twelve_is_found():
    listed = [{"id": "salesforce", "name": "Salesforce", "category": "crm", "status": "connected"}]
    async with over(serving(listed=listed)) as (provider, _):
        (found,) = await provider.connector_lookup.find_connectors(["salesforce"])

    assert found.name == "Salesforce"


# ---- what it cannot answer


@pytest.mark.parametrize("contract", [REST, GATEWAY])
async def test_no_contract_publishes_runs_or_counts(contract):
    async with sandboxed(contract) as (provider, _):
        assert (provider.run_feed, provider.run_lookup, provider.stats_lookup) == (None, None, None)


async def test_the_tool_gateway_tells_readiness_in_one_call_and_no_syncs():
    async with sandboxed(GATEWAY) as (provider, calls):
        page = await provider.connector_feed.page(Scope(), first=50, after=None)
        found = await provider.connector_lookup.find_connectors(["stripe", "gong"])

    assert (provider.sync_feed, provider.sync_lookup, provider.sync_extra_lookup) == (None, None, None)
    assert len(page.items) == 15
    assert [(its.status, its.raw_status) for its in found] == [
        (ConnectorStatus.ERROR, "requires_intervention"),
        (ConnectorStatus.NOT_CONNECTED, "not_connected"),
    ]
    assert calls.sent == ["POST /api/tools/call"]


async def test_an_answer_of_the_wrong_era_is_not_read_as_an_empty_list():
    gateway_says = httpx2.Response(200, json={"integrations": []})
    rest_says = httpx2.Response(200, json={"items": []})
    for contract, answer in ((REST, gateway_says), (GATEWAY, rest_says)):
        async with over(answering(answer), contract) as (provider, _):
            with pytest.raises(errors.UpstreamContractError):
                await provider.connector_feed.page(Scope(), first=5, after=None)
