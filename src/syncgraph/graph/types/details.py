"""GraphQL views of what only one provider tells."""

from collections.abc import Sequence

import strawberry

from syncgraph.domain import details
from syncgraph.graph.scalars import JSON
from syncgraph.graph.types.common import stands_for


@strawberry.type(description="What Timbal tells of a sync beyond the rest.")
class TimbalSyncDetails:
    source_schema: str
    source_table: str
    cursor_column: str | None = strawberry.field(description="Null: every run copies the whole table.")
    key_columns: list[str] | None = strawberry.field(
        description="Empty: no key. Null: this contract does not tell."
    )
    destination_table: str
    knowledge_base: str
    has_cursor: bool = strawberry.field(
        description="Timbal holds a checkpoint to resume from; not whether the sync ever ran."
    )
    disabled_reason: str | None = strawberry.field(
        description="Why Timbal disabled it by itself; null when it did not, or under a contract that does not tell."
    )
    consecutive_failures: int | None = strawberry.field(
        description="Timbal disables the sync at 10. Null: this contract does not tell."
    )

    is_type_of = stands_for(details.TimbalSyncDetails)


@strawberry.type(description="What Outlit tells of a sync beyond the rest.")
class OutlitSyncDetails:
    model: str

    is_type_of = stands_for(details.OutlitSyncDetails)


@strawberry.type(description="What Airweave tells of a sync beyond the rest.")
class AirweaveSyncDetails:
    collection: str | None = strawberry.field(
        description="The collection it fills; null: this contract does not tell."
    )
    sync_id: str | None = strawberry.field(description="Null: Airweave made no sync for this connection.")

    is_type_of = stands_for(details.AirweaveSyncDetails)


@strawberry.type(description="What Den tells of a run beyond the rest.")
class DenRunDetails:
    event_type: str
    connector_target_id: str | None = strawberry.field(description="Null: an event of the whole instance.")
    remote_id: str | None = strawberry.field(description="`owner/repo`; null: Den has none.")
    external_event_ref: str | None = strawberry.field(
        description="GitHub's delivery id; null: not from a webhook."
    )
    source_revision_ref: str | None = strawberry.field(description="Commit; null: not from a push.")
    failures: Sequence[JSON] | None = strawberry.field(
        description="As Den lists them; null: it lists none, which is not the same as no failures."
    )

    is_type_of = stands_for(details.DenRunDetails)


@strawberry.type(description="What Timbal tells of a run beyond the rest.")
class TimbalRunDetails:
    message: str | None = strawberry.field(description="Progress or error text; null: none.")
    rows_per_second: float | None = strawberry.field(description="Null: not known yet.")

    is_type_of = stands_for(details.TimbalRunDetails)


@strawberry.type(description="What Airweave tells of a run beyond the rest.")
class AirweaveRunDetails:
    scheduled: bool | None = strawberry.field(description="Null: this contract does not tell.")
    entities_encountered: JSON | None = strawberry.field(
        description="Counts by type of entity; null: this contract does not tell."
    )

    is_type_of = stands_for(details.AirweaveRunDetails)
