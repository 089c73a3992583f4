"""The integrations of Acme, an invented company: what each copies, and how that stands at an instant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

ORGANISATION = "org_acme"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""All syncing lies on a grid of absolute time that begins here, so that only the clock decides what is seen."""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Synced ``every`` so often, ``at`` that long after the grid's line; ``takes`` is how long it says so."""

    name: str
    every: timedelta = timedelta(hours=1)
    at: timedelta = timedelta()
    takes: timedelta = timedelta()
    word: str = "SUCCESS"
    error: str | None = None
    late: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """``readiness``: the tool gateway's word; the REST contract has only connected and not_connected."""

    id: str
    name: str
    category: str
    readiness: str = "not_connected"
    models: tuple[Model, ...] = ()

    @property
    def connected(self) -> bool:
        return bool(self.models)


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


INTEGRATIONS = (
    Integration(
        id="hubspot",
        name="HubSpot",
        category="crm",
        readiness="ready",
        models=(
            Model(name="HubspotContact", every=_minutes(30), at=_minutes(4)),
            Model(name="HubspotCompany", every=_minutes(30), at=_minutes(7)),
            Model(name="HubspotDeal", every=_minutes(30), at=_minutes(9)),
            Model(name="HubspotOwner", late=timedelta(days=3)),
        ),
    ),
    Integration(id="attio", name="Attio", category="crm", readiness="awaiting_auth"),
    Integration(
        id="slack",
        name="Slack",
        category="communication",
        readiness="ready",
        # Takes turns with PosthogEvent: one of the two is syncing at every instant.
        models=(
            Model(name="SlackChannel", at=_minutes(2)),
            Model(name="SlackMessage", every=_minutes(10), at=_minutes(5), takes=_minutes(5)),
            Model(name="SlackUser", every=timedelta(days=1), at=_minutes(75)),
        ),
    ),
    Integration(id="fireflies", name="Fireflies", category="calls"),
    Integration(id="granola", name="Granola", category="calls"),
    Integration(
        id="google-calendar",
        name="Google Calendar",
        category="calendar",
        readiness="ready",
        # One row per linked calendar, and nothing to tell them apart by.
        models=(
            Model(name="GoogleCalendarEvent", every=_minutes(15), at=_minutes(1)),
            Model(name="GoogleCalendarEvent", every=_minutes(15), at=_minutes(6)),
        ),
    ),
    Integration(
        id="google-mail",
        name="Gmail",
        category="communication",
        readiness="ready",
        models=(
            Model(name="GmailThread", every=_minutes(15), at=_minutes(3)),
            Model(name="GmailMessage", every=_minutes(15), at=_minutes(3)),
            Model(name=""),
        ),
    ),
    Integration(
        id="posthog",
        name="PostHog",
        category="analytics",
        readiness="ready",
        models=(
            Model(name="PosthogPerson", at=_minutes(12)),
            Model(name="PosthogEvent", every=_minutes(10), takes=_minutes(5)),
        ),
    ),
    Integration(
        id="stripe",
        name="Stripe",
        category="billing",
        readiness="requires_intervention",
        models=(
            Model(name="StripeCustomer", at=_minutes(22)),
            Model(name="StripeSubscription", at=_minutes(22)),
            Model(name="StripeInvoice", at=_minutes(23)),
            Model(
                name="StripeCharge",
                at=_minutes(24),
                word="FAILED",
                error="Stripe 403: the restricted key lacks the permission rak_charge_read (req_8Hk2vQmT4sYw1x)",
            ),
        ),
    ),
    Integration(
        id="supabase",
        name="Supabase",
        category="storage",
        readiness="ready",
        models=(
            Model(name="SupabaseUser", every=timedelta(hours=6), at=_minutes(40)),
            Model(name="SupabaseWorkspace", word="PENDING"),
        ),
    ),
    Integration(id="clerk", name="Clerk", category="storage"),
    Integration(id="pylon", name="Pylon", category="support", readiness="setup_required"),
)
"""All twelve of the REST contract, seven of them connected."""

SINCE_GATEWAY = (
    Integration(id="salesforce", name="Salesforce", category="crm"),
    Integration(id="gong", name="Gong", category="calls"),
    Integration(id="mixpanel", name="Mixpanel", category="analytics"),
)
"""Integrations that only the tool gateway knows."""

ALIASES = {"gmail": "google-mail", "gcal": "google-calendar"}
"""Resolved by the server, whose answer has the id itself."""


def find(provider: str) -> Integration | None:
    wanted = ALIASES.get(provider, provider)
    return next((its for its in INTEGRATIONS if its.id == wanted), None)


def listed(its: Integration, now: datetime) -> Row:
    """One row of ``GET /api/integrations``, with its roll-up over the models."""
    times = [time for model in its.models if (time := synced_at(model, now))]
    return {
        "id": its.id,
        "name": its.name,
        "category": its.category,
        "status": "connected" if its.connected else "not_connected",
        "connectionId": f"{its.id}-{ORGANISATION}" if its.connected else None,
        "lastDataReceivedAt": stamp(max(times)) if times else None,
        "syncStatus": next(_rolled_up(its), None),
        "errorMessage": next((model.error for model in its.models if model.error), None),
    }


def sync_status(its: Integration, now: datetime) -> Row:
    """The answer of ``GET /api/integrations/sync-status``."""
    return {
        "provider": its.id,
        "name": its.name,
        "category": its.category,
        "status": "connected" if its.connected else "not_connected",
        "syncs": [_sync(model, now) for model in its.models],
    }


def ready(its: Integration) -> Row:
    """One row of ``outlit_get_integration_status``."""
    return {"provider": its.id, "name": its.name, "category": its.category, "status": its.readiness}


def synced_at(model: Model, now: datetime) -> datetime | None:
    """When it last ended; the cycle before while it is syncing."""
    if model.word == "PENDING":
        return None
    ended = _began(model, now) + model.takes
    return (ended - model.every if is_syncing(model, now) else ended) - model.late


def is_syncing(model: Model, now: datetime) -> bool:
    return now - _began(model, now) < model.takes


def stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _began(model: Model, now: datetime) -> datetime:
    return now - (now - EPOCH - model.at) % model.every


def _sync(model: Model, now: datetime) -> Row:
    time = synced_at(model, now)
    return {
        "model": model.name,
        "status": "syncing" if is_syncing(model, now) else model.word,
        "lastSyncedAt": stamp(time) if time else None,
        "errorMessage": model.error,
    }


def _rolled_up(its: Integration) -> Iterator[str]:
    words = [model.word for model in its.models]
    return (word for word in ("FAILED", "PENDING", "SUCCESS") if word in words)
