import gc
import re
from collections import Counter

import pytest
from tests.faults.report import FIGURE, Report
from tests.faults.tls import Tls, issued

pytest.register_assert_rewrite("tests.faults.stage")
CELL = re.compile(r"\[(F\d\d)-(\w+)\]")


@pytest.fixture(autouse=True)
def _no_waiting():
    """In place of the fixture of all other tests: here the retry policy waits as in life."""


@pytest.fixture(autouse=True, scope="module")
def _frozen():
    """As `serving.serve` does: the collector would walk over pytest's own objects while an operation's time is measured."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return issued(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    return Report(request.node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, and the fault matrix as a table."""
    reports = [one for word in ("passed", "failed") for one in terminalreporter.stats.get(word, ())]
    figures = sorted(line for one in reports for name, line in one.user_properties if name == FIGURE)
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in figures))
    outcome: dict[tuple[str, str], str] = {}
    for word, sign in (("passed", "ok"), ("skipped", "skip"), ("failed", "FAILED"), ("error", "FAILED")):
        for report in terminalreporter.stats.get(word, ()):
            if (cell := CELL.search(report.nodeid)) is not None:
                outcome[cell[1], cell[2]] = sign
    if not outcome:
        return
    kinds = sorted({kind for _, kind in outcome})
    terminalreporter.section("fault matrix")
    terminalreporter.write_line("     " + "".join(f"{kind:10}" for kind in kinds))
    for fault in sorted({fault for fault, _ in outcome}):
        terminalreporter.write_line(
            f"{fault}  " + "".join(f"{outcome.get((fault, kind), '-'):10}" for kind in kinds)
        )
    counted = Counter(outcome.values())
    terminalreporter.write_line(f"{counted['ok']} passed + {counted['skip']} skipped of {len(outcome)} cells")
