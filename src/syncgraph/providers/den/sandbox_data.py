"""The sandbox's organisation: a pure function of the clock, and of which events were retried when.

Events lie on a grid of absolute time, one per slot of a quarter of an hour: as the clock moves on, running ones end and
new ones begin, while their ids, and what has ended unless it is retried, stay as they are.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from syncgraph.providers.den.typeid import ALPHABET

SLOT = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BORN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
BACKOFF_CAP = timedelta(minutes=15)
MAX_ATTEMPTS = 12
QUICK = timedelta(seconds=20)


def hashed(*parts: object) -> int:
    """128 bits that depend on nothing but ``parts``."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=16).digest())


def type_id(prefix: str, at: datetime, *parts: object) -> str:
    """A TypeID as Den makes them: milliseconds, then what ``parts`` hash to, as a UUIDv7."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    noise = hashed(prefix, *parts)
    number = milliseconds << 80 | 7 << 76 | (noise >> 64 & 0xFFF) << 64 | 2 << 62 | noise & (1 << 62) - 1
    digits = (ALPHABET[number >> 5 * place & 31] for place in reversed(range(26)))
    return f"{prefix}_{''.join(digits)}"


def stamp(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


ORGANISATION = type_id("org", _BORN, "acme")
ACCOUNT = type_id("cac", _BORN, "acme")
MEMBER = type_id("om", _BORN, "dana")


def organisations(role: str) -> Mapping[str, object]:
    """The organisations of the caller, the one there is."""
    return {
        "orgs": [
            {
                "id": ORGANISATION,
                "name": "Acme",
                "slug": "acme",
                "logo": None,
                "allowedEmailDomains": None,
                "metadata": None,
                "role": role,
                "orgMemberId": MEMBER,
                "membershipId": MEMBER,
                "memberCount": 14,
                "createdAt": stamp(_BORN),
                "updatedAt": stamp(_BORN),
                "isActive": True,
            }
        ],
        "activeOrgId": ORGANISATION,
        "activeOrgSlug": "acme",
    }


@dataclass(frozen=True)
class Instance:
    repository: str
    status: str
    age_days: int

    @cached_property
    def id(self) -> str:
        return type_id("cin", self.created_at, self.repository)

    @property
    def created_at(self) -> datetime:
        return _BORN + timedelta(days=self.age_days)

    def row(self) -> Mapping[str, object]:
        return {
            "connectorAccountId": ACCOUNT,
            "connectorType": "github",
            "createdAt": stamp(self.created_at),
            "createdByOrgMembershipId": MEMBER,
            "id": self.id,
            "instanceConfigJson": {"installationId": 4200001},
            "lastSyncCursor": None,
            "lastSyncStatus": None,
            "lastSyncedAt": None,
            "name": self.repository,
            "organizationId": ORGANISATION,
            "remoteId": self.repository,
            "status": self.status,
            "updatedAt": stamp(self.created_at + timedelta(hours=self.age_days + 1)),
        }


@dataclass(frozen=True)
class Target:
    instance: Instance
    branch: str

    @cached_property
    def id(self) -> str:
        return type_id("ctg", self.instance.created_at, self.instance.repository, self.branch)

    def row(self) -> Mapping[str, object]:
        created = self.instance.created_at + timedelta(minutes=len(self.branch))
        return {
            "connectorInstanceId": self.instance.id,
            "connectorType": "github",
            "createdAt": stamp(created),
            "externalTargetRef": self.branch,
            "id": self.id,
            "remoteId": self.instance.repository,
            "targetConfigJson": {"repositoryFullName": self.instance.repository, "branch": self.branch},
            "targetKind": "repository_branch",
            "updatedAt": stamp(created),
        }


SKILLS = Instance("acme/support-skills", "active", 0)
AGENTS = Instance("acme/sales-agents", "active", 3)
PLATFORM = Instance("acme/platform-monorepo", "active", 17)
HANDBOOK = Instance("acme/handbook", "active", 40)
PROMPTS = Instance("acme/legacy-prompts", "disabled", 41)
BILLING = Instance("acme/billing-playbooks", "error", 66)
INSTANCES = (BILLING, PROMPTS, HANDBOOK, PLATFORM, AGENTS, SKILLS)

SKILLS_MAIN, SKILLS_PREVIEW = Target(SKILLS, "main"), Target(SKILLS, "preview")
AGENTS_MAIN, AGENTS_NEXT = Target(AGENTS, "main"), Target(AGENTS, "next")
PLATFORM_MAIN, PLATFORM_RELEASE = Target(PLATFORM, "main"), Target(PLATFORM, "release")
HANDBOOK_MAIN, HANDBOOK_DRAFTS = Target(HANDBOOK, "main"), Target(HANDBOOK, "drafts")
PROMPTS_MAIN, BILLING_MAIN = Target(PROMPTS, "main"), Target(BILLING, "main")
TARGETS = (
    *(BILLING_MAIN, PROMPTS_MAIN, HANDBOOK_DRAFTS, HANDBOOK_MAIN, PLATFORM_RELEASE, PLATFORM_MAIN),
    *(AGENTS_NEXT, AGENTS_MAIN, SKILLS_PREVIEW, SKILLS_MAIN),
)

ROTA = (
    *(SKILLS_MAIN, HANDBOOK_MAIN, AGENTS_MAIN, PLATFORM_MAIN),
    *(None, HANDBOOK_DRAFTS, AGENTS_NEXT, PLATFORM_RELEASE),
)
"""Whose event each slot holds, modulo 8. None: billing, a preview, or an event of the installation."""
BILLING_SLOT, BILLING_WORKS_EVERY = 20, 512
"""GitHub refuses it but for one event in 512 slots: its last success is up to five days ago."""
SLOW = {PLATFORM_MAIN, PLATFORM_RELEASE}
"""Take longer than until the other one starts, so that one is always running."""
FLAKY = {HANDBOOK_MAIN, HANDBOOK_DRAFTS}
"""GitHub refuses them for a while, so that one nearly always waits for another try."""


@dataclass(frozen=True)
class Event:
    """The event of one slot. ``at``: when it was made; ``queued_at``: when it was last put into the queue."""

    slot: int
    retries: tuple[datetime, ...] = ()

    @cached_property
    def noise(self) -> int:
        return hashed("event", self.slot)

    @cached_property
    def at(self) -> datetime:
        return _EPOCH + self.slot * SLOT + timedelta(milliseconds=self.noise % 240_000)

    @property
    def queued_at(self) -> datetime:
        return self.retries[-1] if self.retries else self.at

    @cached_property
    def id(self) -> str:
        return type_id("cse", self.at, self.slot)

    @property
    def target(self) -> Target | None:
        regular = ROTA[self.slot % 8]
        if regular is not None:
            return regular
        return {4: BILLING_MAIN, 12: SKILLS_PREVIEW, BILLING_SLOT: BILLING_MAIN}.get(self.slot % 32)

    @property
    def instance(self) -> Instance:
        return SKILLS if self.target is None else self.target.instance

    @property
    def event_type(self) -> str:
        if self.target is None:
            return "repository"
        return "manual_resync" if self.noise % 10 == 0 else "push"

    @property
    def begins(self) -> datetime:
        """When a worker takes it, at the first of its attempts; it looks every five seconds."""
        return self.queued_at + timedelta(milliseconds=1500 + self.noise % 5000)

    @property
    def works(self) -> timedelta:
        if self.target in SLOW:
            return timedelta(minutes=78 + self.noise % 34)
        return timedelta(seconds=18 + self.noise % 160)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "ignored"  # nothing of it can be imported, should someone retry it
        if self.target is BILLING_MAIN:
            return "completed" if self.slot % BILLING_WORKS_EVERY == BILLING_SLOT else "failed"
        if self.target in SLOW | FLAKY:
            return "failed" if self.noise % 7 == 0 else "completed"
        return (["completed"] * 13 + ["partial"] * 2 + ["ignored"] * 3 + ["failed"] * 2)[self.noise % 20]


def event_at(at: datetime) -> Event:
    """The newest event that was made by ``at``."""
    newest = Event((at - _EPOCH) // SLOT)
    return newest if newest.at <= at else Event(newest.slot - 1)
