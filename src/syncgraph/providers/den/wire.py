"""Den's JSON, only the fields that are read.

Sources: the OpenAPI 3.1 document that a running server printed (den-api at f12248b4 of 2026-08-12, GET /openapi.json,
read 2026-11-22), https://openworklabs.com/docs (list and get connector sync events, read 2026-11-22), and recordings of
that server: what it writes into ``summaryJson`` is not what either document says.
"""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
NOTHING = msgspec.Raw(b"null")


class Listed(msgspec.Struct, Generic[T], rename="camel", frozen=True):
    items: list[T]
    next_cursor: str | None


class Detail(msgspec.Struct, Generic[T], frozen=True):
    item: T


class Event(msgspec.Struct, rename="camel", frozen=True):
    """``attempt_count``, ``next_attempt_at``: since 2026-08-05. ``summary_json``: any JSON, see :class:`Summary`."""

    id: str
    connector_instance_id: str
    event_type: str
    status: str
    started_at: datetime
    connector_target_id: str | None = None
    connector_type: str | None = None
    remote_id: str | None = None
    external_event_ref: str | None = None
    source_revision_ref: str | None = None
    summary_json: msgspec.Raw = NOTHING
    completed_at: datetime | None = None
    attempt_count: int | None = None
    next_attempt_at: datetime | None = None


class Summary(msgspec.Struct, rename="camel", frozen=True):
    """Every field raw: the object is open, and one value of a wrong type must not cost the others.

    ``created_count`` to ``failures`` are documented, ``created_config_object_count`` and its like are recorded, the
    rest is what the server's code writes. ``materializedConfigObjects`` can be large and is not kept.
    """

    trigger: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING
    last_error: msgspec.Raw = NOTHING
    started_at: msgspec.Raw = NOTHING
    duration_ms: msgspec.Raw = NOTHING
    created_count: msgspec.Raw = NOTHING
    updated_count: msgspec.Raw = NOTHING
    deleted_count: msgspec.Raw = NOTHING
    skipped_count: msgspec.Raw = NOTHING
    failed_count: msgspec.Raw = NOTHING
    failures: msgspec.Raw = NOTHING
    created_config_object_count: msgspec.Raw = NOTHING
    updated_config_object_count: msgspec.Raw = NOTHING
    deleted_config_object_count: msgspec.Raw = NOTHING
    materialized_config_object_count: msgspec.Raw = NOTHING


class Instance(msgspec.Struct, rename="camel", frozen=True):
    """``lastSyncedAt``, ``lastSyncStatus``, ``lastSyncCursor`` are never written by the server, so never read."""

    id: str
    status: str
    updated_at: datetime
    name: str | None = None
    connector_type: str | None = None
    created_at: datetime | None = None


class TargetConfig(msgspec.Struct, frozen=True):
    branch: msgspec.Raw = NOTHING


class Target(msgspec.Struct, rename="camel", frozen=True):
    id: str
    connector_instance_id: str
    updated_at: datetime
    remote_id: str | None = None
    external_target_ref: str | None = None
    target_config_json: msgspec.Raw = NOTHING
    created_at: datetime | None = None


class Organisation(msgspec.Struct, rename="camel", frozen=True):
    id: str
    name: str | None = None
    role: str | None = None


class Organisations(msgspec.Struct, rename="camel", frozen=True):
    orgs: list[Organisation]
    active_org_id: str | None = None


class Health(msgspec.Struct, frozen=True):
    service: str
    version: str | None = None


EVENTS = msgspec.json.Decoder(Listed[Event])
EVENT = msgspec.json.Decoder(Detail[Event])
INSTANCES = msgspec.json.Decoder(Listed[Instance])
INSTANCE = msgspec.json.Decoder(Detail[Instance])
TARGETS = msgspec.json.Decoder(Listed[Target])
TARGET = msgspec.json.Decoder(Detail[Target])
ORGANISATIONS = msgspec.json.Decoder(Organisations)
HEALTH = msgspec.json.Decoder(Health)
SUMMARY = msgspec.json.Decoder(Summary)
TARGET_CONFIG = msgspec.json.Decoder(TargetConfig)
