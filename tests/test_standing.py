"""How syncs do, over the whole gateway: what is read for it, and what a failing provider makes of it."""

from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from tests.gateway import NOW, Gateway, Upstreams, running

from syncgraph import sandboxes
from syncgraph.config import ProviderSettings, ServerSettings
from syncgraph.domain.model import Coverage, RunKey, RunStatus, SyncRun
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamUnavailableError
from syncgraph.ports import ALL, Scope
from syncgraph.standing import MAX_PAGES, read_on

HEALTH = (
    "{ syncs(first: 100) { nodes { providerName health { status reasons { code } } freshness { status } } } }"
)
OVERVIEW = """
{ overview {
    sources { provider { name } status coverage code error { code } upstreamCalls }
    health { status count { value relation } } runs { status count { value relation } }
    needsAttention(first: 100) { providerName health { status } } running { id } errorGroups { syncs { id name } }
} }
"""


def down(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused")


@dataclass
class PartlyDown(Upstreams):
    """What has ``part`` in its path cannot be reached."""

    part: str = ""

    def connect(self, settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
        return _Refusing(self, super().connect(settings))


class _Refusing(httpx2.AsyncBaseTransport):
    def __init__(self, upstreams: PartlyDown, behind: httpx2.AsyncBaseTransport) -> None:
        self._upstreams = upstreams
        self._behind = behind

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        part = self._upstreams.part
        if part and part in request.url.raw_path.decode():
            raise httpx2.ConnectError("refused")
        return await self._behind.handle_async_request(request)


UNREACHABLE = {"status": "UNKNOWN", "reasons": [{"code": "PROVIDER_UNREACHABLE"}]}
DEN_SYNC = "ctg_01kp0b8t00ed0vwmdp4czfw53s"


async def test_runs_that_cannot_be_read_make_health_unknown_and_cost_no_field():
    query = 'query ($id: String!) { sync(provider: "den", externalId: $id) { health { status reasons { code } } freshness { status } connector { health { status reasons { code } } } } }'
    async with running(upstreams=PartlyDown(part="connector-sync-events")) as gateway:
        body = await gateway.ask(query, id=DEN_SYNC)

    sync = body["data"]["sync"]
    assert sync["health"] == UNREACHABLE
    assert sync["freshness"] == {"status": "UNKNOWN"}
    assert sync["connector"]["health"]["status"] == "UNKNOWN"
    assert "PROVIDER_UNREACHABLE" in {reason["code"] for reason in sync["connector"]["health"]["reasons"]}
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UPSTREAM_UNAVAILABLE"]


async def test_syncs_that_cannot_be_listed_make_a_connector_s_health_unknown():
    async with running(upstreams=PartlyDown(part="/targets")) as gateway:
        body = await gateway.ask(
            "{ connectors(first: 100) { nodes { providerName health { status reasons { code } } } } }"
        )

    rows = body["data"]["connectors"]["nodes"]
    assert [one["health"] for one in rows if one["providerName"] == "den"] == [UNREACHABLE] * 6
    # Six lists fail side by side: enough for the provider to be left alone.
    assert {error["extensions"]["code"] for error in body["errors"]} <= {
        "UPSTREAM_UNAVAILABLE",
        "UPSTREAM_CIRCUIT_OPEN",
    }
    assert body["errors"]


@pytest.mark.parametrize("name", sandboxes.SANDBOXES)
async def test_an_overview_without_one_provider_is_whole_for_the_others(gateway: Gateway, name: str):
    whole = (await gateway.data(OVERVIEW))["overview"]
    gateway.upstreams.broken[name] = down

    body = await gateway.ask(OVERVIEW)

    without = body["data"]["overview"]
    assert {error["extensions"]["provider"] for error in body["errors"]} == {name}
    for before, after in zip(whole["sources"], without["sources"], strict=True):
        if after["provider"]["name"] != name:
            assert after == before
            continue
        assert (after["status"], after["coverage"], after["code"]) == (
            "FAILED",
            "NONE",
            "UPSTREAM_UNAVAILABLE",
        )
    kept = [one for one in whole["needsAttention"] if one["providerName"] != name]
    assert without["needsAttention"] == kept
    assert {one["count"]["relation"] for one in without["health"]} == {"GTE"}


async def test_an_overview_stays_under_the_ceiling_of_calls_and_says_what_it_could_not_see():
    upstreams = Upstreams()
    settings = replace(sandboxes.settings(), server=ServerSettings(max_upstream_calls=12))
    async with running(upstreams=upstreams, settings=settings) as gateway:
        body = await gateway.ask(OVERVIEW)

    seen = body["data"]["overview"]
    assert len(upstreams.sent) <= 12
    cut = [one for one in seen["sources"] if one["status"] == "SCAN_LIMIT"]
    assert {one["code"] for one in cut} == {"BUDGET_EXCEEDED"}
    assert {one["status"] for one in seen["sources"]} <= {"SCAN_LIMIT", "OK", "UNSUPPORTED"}
    assert {one["count"]["relation"] for one in seen["health"]} == {"GTE"}


async def test_what_the_overview_shows_agrees_with_the_syncs_own_fields_and_costs_nothing_more(
    gateway: Gateway,
):
    await gateway.data(OVERVIEW)
    least = sorted(gateway.upstreams.sent)
    gateway.upstreams.sent.clear()

    deep = "{ overview { needsAttention(first: 100) { health { status reasons { message } } freshness { status lagSeconds } connector { name status } } errorGroups { syncs { name health { status } } } } }"
    seen = (await gateway.data(deep))["overview"]

    assert sorted(gateway.upstreams.sent) == least
    assert {one["health"]["status"] for one in seen["needsAttention"]} == {"DEGRADED", "WARNING"}


async def test_health_of_all_syncs_reads_runs_only_where_the_list_does_not_tell_the_outcome(gateway: Gateway):
    await gateway.data(HEALTH)

    runs = [one for one in gateway.upstreams.sent if "/jobs" in one or "events" in one]
    assert [one for one in runs if one.startswith("timbal")] == []
    assert (
        sum(one.startswith("den") for one in runs) == 2
    )  # one page for all, and one sync that it did not show
    told = await gateway.data("{ syncs(first: 100) { nodes { providerName lastOutcome } } }")
    silent = [one for one in told["syncs"]["nodes"] if one["lastOutcome"] is None]
    assert sum(one.startswith("airweave") for one in runs) == sum(
        one["providerName"] == "airweave" for one in silent
    )


async def test_configured_limits_win_the_nearest_first():
    settings = sandboxes.settings()
    timbal = settings.providers["timbal"]
    freshness = type(timbal.freshness).model_validate(
        {
            "warn_after_s": 60,
            "connectors": {"9180c9de-e66b-5dd7-aa22-bdc48d0a93dd": {"warn_after_s": 7, "error_after_s": 9}},
            "syncs": {
                "9180c9de-e66b-5dd7-aa22-bdc48d0a93dd/c78aaf9b-f1ff-56be-a8ca-fde745489a38": {
                    "warn_after_s": 1000
                }
            },
        }
    )
    its = timbal.model_copy(update={"freshness": freshness})
    query = "{ syncs(first: 100) { nodes { name providerName connector { name } freshness { warnAfterSeconds errorAfterSeconds policy status } } } }"
    async with running(
        settings=replace(settings, providers={**settings.providers, "timbal": its})
    ) as gateway:
        rows = (await gateway.data(query))["syncs"]["nodes"]

    limits = {
        row["name"]: (row["freshness"]["warnAfterSeconds"], row["freshness"]["errorAfterSeconds"])
        for row in rows
        if row["providerName"] == "timbal"
    }
    assert limits["Orders"] == (60, 120)
    assert limits["Shipments"] == (7, 9)
    assert limits["wms.stock_levels -> stock_levels"] == (1000, 2000)
    assert {row["freshness"]["policy"] for row in rows if row["providerName"] == "timbal"} == {"CONFIGURED"}


@pytest.mark.parametrize(
    "limits", [{"error_after_s": 5}, {"warn_after_s": 5, "error_after_s": 4}, {"warn_after_s": 0}]
)
def test_limits_that_cannot_hold_are_refused(limits):
    settings = sandboxes.settings().providers["den"]

    with pytest.raises(ValueError, match="after_s"):
        type(settings.freshness).model_validate(limits)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("{ overview(windowDays: 0) { evaluatedAt } }", "overview"),
        ("{ overview(windowDays: 31) { evaluatedAt } }", "overview"),
        ("{ overview { running(first: 0) { id } } }", "overview"),
        ("{ overview { errorGroups(first: 101) { count } } }", "overview"),
        ('{ sync(provider: "timbal", externalId: "9180c9de-e66b-5dd7-aa22-bdc48d0a93dd/c78aaf9b-f1ff-56be-a8ca-fde745489a38") { metrics(windowDays: 31) { runs } } }', "sync"),
    ],
)  # fmt: skip
async def test_an_argument_out_of_bounds_is_refused(gateway: Gateway, query: str, field: str):
    body = await gateway.ask(query)

    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]
    assert body["data"][field] in (None, {"metrics": None})


async def test_null_arguments_are_the_defaults(gateway: Gateway):
    seen = await gateway.data("{ overview(windowDays: null) { running(first: null) { id } } }")

    assert seen == await gateway.data("{ overview { running { id } } }")


async def test_metrics_of_a_provider_that_fails_are_null_with_its_error():
    query = 'query ($id: String!) { sync(provider: "den", externalId: $id) { externalId metrics { runs } } }'
    async with running(upstreams=PartlyDown(part="connector-sync-events")) as gateway:
        body = await gateway.ask(query, id=DEN_SYNC)

    assert body["data"]["sync"] == {"externalId": DEN_SYNC, "metrics": None}
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UPSTREAM_UNAVAILABLE"]


async def test_a_provider_s_health_is_what_the_gateway_saw(gateway: Gateway):
    query = "{ providers { name health { status lastSuccessAt lastError { code } successRate latency { count } } } }"
    await gateway.data("{ connectors { nodes { id } } }")
    gateway.upstreams.broken["timbal"] = down
    await gateway.ask("{ connectors { nodes { id } } }")
    gateway.upstreams.sent.clear()

    found = {one["name"]: one["health"] for one in (await gateway.data(query))["providers"]}

    assert gateway.upstreams.sent == []
    assert found["den"]["status"] == "UP"
    assert found["den"]["successRate"] == 1
    assert found["timbal"]["status"] == "DEGRADED"
    assert found["timbal"]["lastError"] == {"code": "UPSTREAM_UNAVAILABLE"}
    assert found["timbal"]["lastSuccessAt"] == gateway.upstreams.now.isoformat().replace("+00:00", "Z")


SEEDS = {"den": "sync-events", "timbal": "sync-detail", "outlit": "tool-gateway", "airweave": "sync-jobs"}


async def test_an_overview_of_the_seeds_contracts_says_that_it_cannot_see_everything():
    async with running(SEEDS) as gateway:
        seen = (await gateway.data(OVERVIEW))["overview"]

    assert {one["provider"]["name"]: (one["status"], one["coverage"]) for one in seen["sources"]} == {
        "den": ("OK", "WINDOW"),
        "timbal": ("OK", "CONFIGURED"),
        "outlit": ("UNSUPPORTED", "NONE"),
        "airweave": ("OK", "CONFIGURED"),
    }
    assert {one["count"]["relation"] for one in (*seen["health"], *seen["runs"])} == {"GTE"}


async def test_an_overview_of_a_long_window_stops_reading_and_says_so(gateway: Gateway):
    seen = (await gateway.data(OVERVIEW.replace("overview {", "overview(windowDays: 30) {")))["overview"]

    den = seen["sources"][0]
    assert (den["status"], den["coverage"], den["code"], den["error"]) == (
        "SCAN_LIMIT",
        "WINDOW",
        "BUDGET_EXCEEDED",
        None,
    )
    pages = [
        one for one in gateway.upstreams.sent if one.startswith("den GET /v1/connector-sync-events?limit=100")
    ]
    assert len(pages) == MAX_PAGES


async def test_a_list_that_does_not_move_on_is_read_a_few_times_only():
    @dataclass
    class Stuck:
        asked: int = 0

        async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Any]:
            self.asked += 1
            return Page([], "again")

    feed: Any = Stuck()
    page, error = await read_on(feed, ALL, Page([], "again"), since=None)

    assert (feed.asked, page.items, page.coverage, error) == (MAX_PAGES - 1, [], Coverage.WINDOW, None)


async def test_what_was_read_before_a_failure_is_kept():
    trouble = UpstreamUnavailableError("Down.", provider="den")

    class Failing:
        async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Any]:
            raise trouble

    row = SyncRun(
        key=RunKey("den", "1"),
        connector=None,
        sync=None,
        status=RunStatus.FAILED,
        raw_status="failed",
        ordered_at=NOW,
    )
    feed: Any = Failing()
    page, error = await read_on(feed, ALL, Page([row], "2"), since=None)

    assert (page.items, page.next, page.coverage, error) == ([row], "2", Coverage.WINDOW, trouble)
