"""Figure 2: twenty thousand requests, nearly a third of them broken off, and then all is as it was."""

from tests.faults.report import Report
from tests.test_cancel import needs_proc, storm, storms


@needs_proc
@storms
async def test_after_twenty_thousand_requests_with_random_cancels_all_is_as_before(report: Report):
    report.say(f"figure 2: {await storm(20_000, seed=20261125)}")
