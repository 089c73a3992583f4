"""Outlit's JSON, as published in OutlitAI/outlit-sdk, docs/openapi.json (read 2026-11-22).

``integrations``: @9c962ff (2026-07-29), the last version with the REST routes. ``tool-gateway``: @dbcbe4c (2026-08-19).
"""

import msgspec


class Integration(msgspec.Struct, frozen=True):
    id: str
    name: str
    category: str
    status: str


class IntegrationList(msgspec.Struct, frozen=True):
    items: list[Integration]


class IntegrationSync(msgspec.Struct, rename="camel", frozen=True):
    """``recordCount``, which the CLI prints and the schema forbids, is let through unread: it has no stated meaning."""

    model: str
    status: str
    last_synced_at: str | None = None  # an instant; one that cannot be read must not cost the other rows
    error_message: str | None = None


class SyncStatus(msgspec.Struct, frozen=True):
    provider: str
    syncs: list[IntegrationSync]


class ReadyIntegration(msgspec.Struct, frozen=True):
    """A row of ``outlit_get_integration_status``, whose id field is called ``provider``."""

    id: str = msgspec.field(name="provider")
    name: str
    category: str
    status: str


class Readiness(msgspec.Struct, frozen=True):
    integrations: list[ReadyIntegration]


class KeyContext(msgspec.Struct, rename="camel", frozen=True):
    valid: bool
    organization_id: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """REST says ``{error, details?, code?}``, the tool gateway ``{code, message, retryable, requestId, ...}``."""

    error: str = ""
    code: str = ""
    retryable: bool | None = None


INTEGRATIONS = msgspec.json.Decoder(IntegrationList)
SYNC_STATUS = msgspec.json.Decoder(SyncStatus)
READINESS = msgspec.json.Decoder(Readiness)
KEY = msgspec.json.Decoder(KeyContext)
REFUSAL = msgspec.json.Decoder(Refusal)
