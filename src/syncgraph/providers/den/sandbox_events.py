"""What an event of the sandbox shows at an instant, as Den's worker would have written it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncgraph.providers.den.sandbox_data import (
    BACKOFF_CAP,
    FLAKY,
    MAX_ATTEMPTS,
    MEMBER,
    QUICK,
    Event,
    hashed,
    stamp,
)

TRANSIENT = "GitHub request failed with status 503."
TERMINAL = ("GitHub request failed with status 403.", "GitHub request failed with status 404.")


@dataclass(frozen=True)
class State:
    """Where an event stands. ``began``: the attempt that ended it."""

    status: str
    failures: int = 0
    next_attempt_at: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None


def state(event: Event, now: datetime) -> State:
    if event.target is None and not event.retries:
        return State("completed", ended=event.at)
    if event.target in FLAKY:
        return _after_failures(event, now)
    return _attempt(event, now, event.begins, event.works, 0)


def row(event: Event, now: datetime, *, with_attempts: bool) -> Mapping[str, object]:
    its = state(event, now)
    target = event.target
    pushed = event.event_type == "push"
    return {
        **({"attemptCount": its.failures} if with_attempts else {}),
        "completedAt": stamp(its.ended),
        "connectorInstanceId": event.instance.id,
        "connectorTargetId": target and target.id,
        "connectorType": "github",
        "eventType": event.event_type,
        "externalEventRef": None if event.event_type == "manual_resync" else _delivery(event),
        "id": event.id,
        **({"nextAttemptAt": stamp(its.next_attempt_at)} if with_attempts else {}),
        "remoteId": event.instance.repository,
        "sourceRevisionRef": _sha(event) if pushed else None,
        "startedAt": stamp(event.queued_at),
        "status": its.status,
        "summaryJson": _summary(event, now),
    }


def references(event: Event) -> str:
    """What ``q`` searches, in lower case."""
    shown = row(event, event.at, with_attempts=False)
    return f"{shown['externalEventRef'] or ''}\n{shown['sourceRevisionRef'] or ''}".lower()


def _summary(event: Event, now: datetime) -> Mapping[str, object]:
    """A retry takes nothing back: what was written before stands until it is written over."""
    *earlier, last = event.retries or (None,)
    before = _enqueued(event) if last is None else _summary(Event(event.slot, tuple(earlier)), last)
    return {**before, **_outcome(event, state(event, now))}


def _after_failures(event: Event, now: datetime) -> State:
    """Every attempt but the last fails, and the wait for the next one doubles."""
    began = event.begins
    for failures in range(MAX_ATTEMPTS - 1):
        again = began + QUICK + min(timedelta(seconds=30) * 2**failures, BACKOFF_CAP)
        if now < began + QUICK:
            return _attempt(event, now, began, QUICK, failures)
        if now < again:
            return State("queued", failures + 1, next_attempt_at=again)
        began = again
    return _attempt(event, now, began, QUICK, MAX_ATTEMPTS - 1)


def _attempt(event: Event, now: datetime, began: datetime, works: timedelta, failures: int) -> State:
    ended = began + works
    if now < began:
        return State("queued", failures)
    if now < ended:
        return State("running", failures)
    failed = event.verdict == "failed"
    return State(event.verdict, failures + failed, began=began, ended=ended)


def _enqueued(event: Event) -> Mapping[str, object]:
    if event.target is None:
        return {
            "action": "renamed",
            "deliveryId": _delivery(event),
            "from": "acme/skills",
            "to": event.instance.repository,
            "trigger": "webhook",
        }
    if event.event_type == "manual_resync":
        return {"queuedBy": MEMBER}
    if event.noise % 9 == 0:
        return {"trigger": "reconcile"}
    return {
        "trigger": "webhook",
        "deliveryId": _delivery(event),
        "headSha": _sha(event),
        "installationId": 4200001,
        "ref": f"refs/heads/{event.target.branch}",
        "repositoryFullName": event.instance.repository,
        "repositoryId": hashed(event.instance.repository) % 900_000_000,
    }


def _outcome(event: Event, its: State) -> Mapping[str, object]:
    if its.status == "failed":
        error = TRANSIENT if event.target in FLAKY else TERMINAL[event.noise % len(TERMINAL)]
        return {"lastError": error, "error": error, "outcome": "failed"}
    if its.began is None or its.ended is None:
        return {"lastError": TRANSIENT} if its.failures else {}
    objects = [] if its.status != "completed" else [_object(event, nth) for nth in range(1 + event.noise % 4)]
    return {
        "outcome": its.status,
        "error": None,
        "autoImportApplied": its.status != "ignored",
        "autoImportNewPlugins": its.status != "ignored",
        "classification": "openwork_marketplace",
        "resolvedSourceRevisionRef": _sha(event),
        "discoveredPluginCount": len(objects),
        "createdMarketplace": None,
        "createdPluginCount": 0,
        "createdPlugins": [],
        "materializedConfigObjectCount": len(objects),
        "materializedConfigObjects": objects,
        "startedAt": stamp(its.began),
        "completedAt": stamp(its.ended),
        "durationMs": (its.ended - its.began) // timedelta(milliseconds=1),
    }


def _object(event: Event, nth: int) -> Mapping[str, object]:
    title = ("Refund an order", "Escalate a ticket", "Quote a renewal", "Onboard a customer")[nth]
    slug = title.lower().replace(" ", "-")
    return {
        "id": f"cob_{hashed(event.instance.repository, slug):032x}",
        "objectType": "skill",
        "path": f"skills/{slug}/SKILL.md",
        "title": title,
        "versionId": f"cov_{hashed(event.slot, slug):032x}",
    }


def _delivery(event: Event) -> str:
    noise = f"{event.noise:032x}"
    return f"{noise[:8]}-{noise[8:12]}-{noise[12:16]}-{noise[16:20]}-{noise[20:]}"


def _sha(event: Event) -> str:
    return f"{hashed('sha', event.slot):032x}{event.slot:08x}"[-40:]
