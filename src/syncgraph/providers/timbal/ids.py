"""Timbal's ids, and how the ids of things that need several of them are put together.

Timbal publishes no format for its ids: they are opaque, and only their shape is checked here.
"""

from typing import NamedTuple

MAX_LENGTH = 128
"""Longer than any id that an API hands out; a longer one is not sent upstream."""
ONE_OFF = "-"
"""Stands where a run's sync would: a job that somebody dispatched by hand belongs to none."""


class SyncId(NamedTuple):
    """Both of what the API needs to address a sync."""

    connector: str
    sync: str

    def __str__(self) -> str:
        return f"{self.connector}/{self.sync}"


class RunId(NamedTuple):
    """``sync``: None for a one-off job."""

    connector: str
    sync: str | None
    job: str

    def __str__(self) -> str:
        return f"{self.connector}/{self.sync or ONE_OFF}/{self.job}"


def is_id(value: str) -> bool:
    """Could this be one id of Timbal's, and can it be one segment of a path."""
    return (
        0 < len(value) <= MAX_LENGTH and value.isprintable() and "/" not in value and value not in {".", ".."}
    )


def sync_id(value: str) -> SyncId | None:
    """``connector/sync``; None when it is of another shape."""
    parts = value.split("/", 2)
    if len(parts) != len(SyncId._fields) or not all(map(is_id, parts)) or parts[1] == ONE_OFF:
        return None
    return SyncId(*parts)


def run_id(value: str) -> RunId | None:
    """``connector/sync/job`` or ``connector/-/job``; None when it is of another shape."""
    parts = value.split("/", 3)
    if len(parts) != len(RunId._fields) or not all(map(is_id, parts)):
        return None
    connector, sync, job = parts
    return RunId(connector, None if sync == ONE_OFF else sync, job)
