"""What is counted over a sync's listed runs."""

from collections.abc import Sequence

from syncgraph.domain.model import Coverage, RunStatus, StatsSource, SyncRun, SyncStats


def observed(runs: Sequence[SyncRun], coverage: Coverage, *, records_total: int | None) -> SyncStats:
    """Counted by the gateway over ``runs``, of which ``coverage`` says whether they are all there are."""
    statuses = [run.status for run in runs]
    return SyncStats(
        source=StatsSource.OBSERVED,
        coverage=coverage,
        oldest_run_at=min((run.ordered_at for run in runs), default=None),
        runs_total=len(runs),
        runs_succeeded=statuses.count(RunStatus.SUCCEEDED),
        runs_failed=statuses.count(RunStatus.FAILED),
        records_total=records_total,
    )
