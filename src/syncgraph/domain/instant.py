"""Instants as providers write them."""

from datetime import UTC, datetime


def utc(instant: datetime) -> datetime:
    """``instant`` in UTC; one without a zone is taken as UTC (Airweave writes none)."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def utc_or_none(instant: datetime | None) -> datetime | None:
    return None if instant is None else utc(instant)
