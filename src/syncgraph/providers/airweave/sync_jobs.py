"""The ports over the seed's contract: one sync job by its id, and no list of anything.

Lists are of the jobs that the configuration names; a sync is what these jobs tell of it. Jobs do not tell their source
connection, so there are no connectors.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from syncgraph.domain.model import Coverage, Sync, SyncRun, SyncStats
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import ALL, Found, Scope, heads
from syncgraph.providers.airweave import mapping, wire
from syncgraph.providers.airweave.settings import Settings, is_job_id, is_uuid
from syncgraph.upstream.client import Upstream, segment
from syncgraph.upstream.reading import RUNNING_S

FINISHED_S = 86_400.0
"""How long a finished job counts as fresh: nothing changes it any more."""


class SyncJobs:
    """Jobs by id, as the ports share them: one GET each."""

    def __init__(self, upstream: Upstream, settings: Settings) -> None:
        self.provider = upstream.name
        self.with_sync = settings.needs_sync_id
        self._upstream = upstream
        self._path = settings.job_path
        self._configured = tuple(dict.fromkeys(settings.jobs))

    async def find(self, id: str) -> Found[wire.SyncJob]:
        """By ``job``, or ``sync/job`` where the path names both; what another id answers to is not it."""
        if not is_job_id(id, with_sync=self.with_sync):
            return None
        parent, _, job = id.rpartition("/")
        path = self._path.format(job_id=segment(job), sync_id=segment(parent))
        answer = self._upstream.find(
            path, wire.SYNC_JOB, lives=_lives_s, is_asked=lambda found: found.id == job
        )
        found = await or_error(answer)
        if isinstance(found, wire.SyncJob) and parent not in {"", found.sync_id}:
            return None
        return found

    async def configured(self, sync_id: str | None = None) -> Sequence[Found[wire.SyncJob]]:
        """Those that are, or may be, of ``sync_id``."""
        ids = [
            job
            for job in self._configured
            if sync_id is None or "/" not in job or job.startswith(f"{sync_id}/")
        ]
        return await asyncio.gather(*map(self.find, ids))

    async def listed(self, sync_id: str | None = None) -> list[wire.SyncJob]:
        """As ``configured``, without those that are gone; raises the first error."""
        jobs = [job for job in map(_or_raise, await self.configured(sync_id)) if job is not None]
        return [job for job in jobs if sync_id in {None, job.sync_id}]


class SyncJobRuns:
    """``RunLookup``, ``StatsLookup`` and ``Feed``: any job by its id; lists hold the configured ones, on one page."""

    def __init__(self, jobs: SyncJobs, now: datetime) -> None:
        self._jobs = jobs
        self._now = now

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[SyncRun]:  # noqa: ARG002 - one page
        if scope.connector_id is not None or after is not None:
            return Page([], coverage=Coverage.CONFIGURED)
        runs = [self._run(job) for job in await self._jobs.listed(scope.sync_id)]
        runs.sort(key=lambda run: (run.ordered_at, run.key.id), reverse=True)
        return Page(runs, coverage=Coverage.CONFIGURED)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[SyncRun] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_runs(self, ids: Sequence[str]) -> Sequence[Found[SyncRun]]:
        found = await asyncio.gather(*map(self._jobs.find, ids))
        return [job if job is None or isinstance(job, UpstreamError) else self._run(job) for job in found]

    async def find_stats(self, ids: Sequence[str]) -> Sequence[Found[SyncStats]]:
        """Over the configured jobs of each sync."""
        return await asyncio.gather(*map(self._find_stats, ids))

    async def _find_stats(self, id: str) -> Found[SyncStats]:
        jobs = await or_error(self._jobs.listed(id)) if is_uuid(id) else []
        if isinstance(jobs, UpstreamError):
            return jobs
        return mapping.stats([self._run(job) for job in jobs], Coverage.CONFIGURED) if jobs else None

    def _run(self, job: wire.SyncJob) -> SyncRun:
        return mapping.sync_job(self._jobs.provider, job, with_sync=self._jobs.with_sync, now=self._now)


class SyncJobSyncs:
    """``SyncLookup`` and ``Feed``: the syncs of the configured jobs, by id, all on one page."""

    def __init__(self, jobs: SyncJobs) -> None:
        self._jobs = jobs

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Sync]:  # noqa: ARG002 - one page
        if scope.connector_id is not None or after is not None:
            return Page([], coverage=Coverage.CONFIGURED)
        jobs = await self._jobs.listed(scope.sync_id)
        return Page(self._syncs(jobs), coverage=Coverage.CONFIGURED)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Sync] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        return await asyncio.gather(*map(self._find_sync, ids))

    async def _find_sync(self, id: str) -> Found[Sync]:
        if not is_uuid(id):
            return None
        found = await self._jobs.configured(id)
        its = [job for job in found if isinstance(job, wire.SyncJob) and job.sync_id == id]
        if its:
            return mapping.sync_of(self._jobs.provider, its)
        return next((error for error in found if isinstance(error, UpstreamError)), None)

    def _syncs(self, jobs: Sequence[wire.SyncJob]) -> list[Sync]:
        return [
            mapping.sync_of(self._jobs.provider, [job for job in jobs if job.sync_id == sync_id])
            for sync_id in sorted({job.sync_id for job in jobs})
        ]


def _lives_s(job: wire.SyncJob) -> float:
    return FINISHED_S if mapping.is_over(job.status) else RUNNING_S


def _or_raise(found: Found[wire.SyncJob]) -> wire.SyncJob | None:
    if isinstance(found, UpstreamError):
        raise found
    return found
