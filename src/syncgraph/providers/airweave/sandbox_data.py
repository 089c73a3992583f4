"""What the sandbox's organisation has: eight source connections, and jobs on a fixed grid of time.

A job is a pure function of its connection, its number on the grid and the clock: with the clock it waits, runs and ends,
and never comes back differently.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

Body = Mapping[str, object]
ORGANISATION = "6eb6d2d1-5f91-4797-8903-96f0dfd8a263"
COLLECTION = "acme-knowledge-x7k9m2"

_NAMES = UUID("c6a1d3a0-9f1e-4c55-8b0e-3a64d2f0a9e1")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_WAITS = timedelta(seconds=4)
_ODDS = 1000


def _uid(*parts: object) -> str:
    return str(uuid5(_NAMES, "/".join(map(str, parts))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A source connection. ``share``: of its period, that a job may take. ``runs``: None as the sandbox is told.

    ``broken_since``: when its jobs began to fail, with ``error`` and ``category``.
    """

    name: str
    short_name: str
    created_at: datetime
    entity: str
    period: timedelta = timedelta(hours=1)
    offset: timedelta = timedelta()
    share: float = 0.2
    runs: int | None = None
    cron: str | None = "0 * * * *"
    continuous: bool = False
    auth_method: str = "oauth_browser"
    authenticated: bool = True
    federated: bool = False
    broken_since: datetime | None = None
    error: str | None = None
    category: str | None = None

    @property
    def id(self) -> str:
        return _uid("connection", self.short_name)

    @property
    def sync_id(self) -> str | None:
        return _uid("sync", self.short_name) if self.authenticated and not self.federated else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job at one instant of the clock."""

    id: str
    status: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    counts: tuple[int, int, int, int, int]
    error: str | None
    category: str | None
    scheduled: bool


def _at(month: int, day: int, hour: int, microsecond: int = 0) -> datetime:
    return datetime(2026, month, day, hour, 12, 41, microsecond, tzinfo=UTC)


LINKS = (
    Link(name="Confluence search", short_name="confluence", created_at=_at(10, 2, 9, 118204), entity="ConfluencePageEntity", federated=True, cron=None),
    Link(name="HubSpot CRM", short_name="hubspot", created_at=_at(9, 30, 15), entity="HubspotContactEntity", authenticated=False, cron=None),
    Link(name="Acme warehouse", short_name="postgresql", created_at=_at(8, 12, 7, 990021), entity="PostgreSQLTableEntity", period=timedelta(minutes=15), offset=timedelta(minutes=3), cron="*/15 * * * *", auth_method="direct"),
    Link(name="Linear roadmap", short_name="linear", created_at=_at(7, 1, 13, 43117), entity="LinearIssueEntity", period=timedelta(hours=4), cron="0 */4 * * *", broken_since=_at(11, 21, 0), error="Source authentication failed: 401 Unauthorized", category="oauth_credentials_expired"),
    Link(name="Company drive", short_name="google_drive", created_at=_at(6, 18, 10, 5), entity="GoogleDriveFileEntity", offset=timedelta(minutes=40), share=0.9, cron="40 * * * *", auth_method="oauth_byoc"),
    Link(name="Slack workspace", short_name="slack", created_at=_at(5, 4, 16), entity="SlackMessageEntity", period=timedelta(minutes=30), offset=timedelta(minutes=10), share=0.9, cron=None, continuous=True),
    Link(name="Notion handbook", short_name="notion", created_at=_at(5, 4, 16), entity="NotionPageEntity", period=timedelta(hours=6), cron="0 */6 * * *", broken_since=_at(11, 20, 0), error="notion: 503 Service Unavailable after 5 attempts for page 4f1c2a9d77b04a0f", auth_method="auth_provider"),
    Link(name="GitHub repositories", short_name="github", created_at=_at(3, 20, 8, 354512), entity="GitHubRepositoryEntity", offset=timedelta(minutes=5), runs=130, cron=None, auth_method="direct"),
)  # fmt: skip
"""Newest first; Slack and Notion were made at one instant."""

BY_SYNC_ID = {link.sync_id: link for link in LINKS if link.sync_id}
SLOTS = 4
"""Jobs of one sync that keep their ids: the sandbox of single jobs must be configurable without knowing its clock."""

SLOTTED = tuple(link for link in LINKS if link.short_name in {"github", "postgresql", "google_drive"})


def spare(count: int) -> Sequence[Link]:
    """Connections that were made by a script, seven at each instant, and are older than all others."""
    return [
        Link(name=f"Spare {n}", short_name=f"spare_{n}", created_at=_at(1, 9, 8) - timedelta(hours=n // 7), entity="SpareEntity", authenticated=False, cron=None)
        for n in range(count)
    ]  # fmt: skip


def lists(links: Sequence[Link]) -> Iterator[Sequence[Link]]:
    """One after the other, newest first; what was made at one instant comes in another order every time."""
    for nth in itertools.count():
        chance = {link: _uid("place", link.short_name, nth) for link in links}
        yield sorted(links, key=lambda link: (link.created_at, chance[link]), reverse=True)


def jobs(link: Link, now: datetime, *, count: int) -> Iterator[Job]:
    """Newest first, up to ``count``."""
    if link.sync_id is None:
        return
    newest = _number(link, now)
    for number in range(newest, newest - count, -1):
        yield _job(link, number, now, id=_uid("job", link.short_name, number))


def slotted(link: Link, slot: int, now: datetime) -> Job:
    """The newest job whose number falls into ``slot``."""
    newest = _number(link, now)
    return _job(link, newest - (newest - slot) % SLOTS, now, id=slot_id(link, slot))


def slot_id(link: Link, slot: int) -> str:
    return _uid("slot", link.short_name, slot)


def next_at(link: Link, now: datetime) -> datetime:
    return _EPOCH + link.offset + (_number(link, now) + 1) * link.period


def entity_total(link: Link) -> int:
    return 0 if link.sync_id is None else 400 + _chance(link, 0, "entities") * 17


def _number(link: Link, now: datetime) -> int:
    return (now - _EPOCH - link.offset) // link.period


def _job(link: Link, number: int, now: datetime, *, id: str) -> Job:
    created = _EPOCH + link.offset + number * link.period
    dropped = _chance(link, number, "dropped") < 30  # noqa: PLR2004 - 3 % never begin
    begins = created + _WAITS + timedelta(microseconds=_chance(link, number, "digits") // 3 % 3 * 123_456)
    ends = begins + link.period * link.share * (0.5 + _chance(link, number, "length") / _ODDS / 2)
    status = _status(link, number, created, dropped=dropped)
    if now < (begins if not dropped else created + _WAITS / 2):
        status = "pending"
    elif now < ends and not dropped:
        status = "running"
    over = status in {"completed", "cancelled", "failed"}
    return Job(
        id=id,
        status=status,
        created_at=created,
        started_at=None if dropped or status == "pending" else begins,
        completed_at=(created + _WAITS / 2 if dropped else ends) if over and status != "failed" else None,
        failed_at=ends if status == "failed" else None,
        counts=(0,) * 5 if status == "pending" or dropped else _counts(link, number),
        error=(link.error or "entity buffer overflow at batch 12") if status == "failed" else None,
        category=link.category if status == "failed" else None,
        scheduled=_chance(link, number, "by hand") >= 120,  # noqa: PLR2004 - 12 % are started by hand
    )


def _status(link: Link, number: int, created: datetime, *, dropped: bool) -> str:
    """How it ends."""
    if dropped:
        return "cancelled"
    if link.broken_since is not None and created >= link.broken_since:
        return "failed"
    drawn = _chance(link, number, "outcome")
    if drawn < 40:  # noqa: PLR2004 - 4 %
        return "cancelled"
    return "failed" if drawn < 90 and link.broken_since is None else "completed"  # noqa: PLR2004 - 5 %


def _counts(link: Link, number: int) -> tuple[int, int, int, int, int]:
    """Inserted, updated, deleted, kept, skipped."""
    drawn = [_chance(link, number, word) for word in ("inserted", "updated", "deleted", "kept", "skipped")]
    return drawn[0] // 9, drawn[1] // 5, drawn[2] // 70, drawn[3] * 3, drawn[4] // 200


def _chance(link: Link, number: int, word: str) -> int:
    """0 to 999, the same for ever."""
    return int.from_bytes(sha256(f"{link.short_name}/{number}/{word}".encode()).digest()[:4]) % _ODDS
