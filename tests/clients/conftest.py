from collections.abc import Iterator

import pytest
from tests.clients import npm
from tests.test_cli import NOW, started, url_in

NUMBERS = pytest.StashKey[dict[str, list[str]]]()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A gateway over the sandboxes at a frozen instant, as a process of its own; one for all suites."""
    with started("serve", "--port", "0", "--now", NOW) as (_, said):
        yield url_in(said)


@pytest.fixture(scope="session")
def numbers(pytestconfig: pytest.Config) -> dict[str, list[str]]:
    """By suite, lines to show when all tests are done: what docs/compatibility.md tells of it."""
    return pytestconfig.stash.setdefault(NUMBERS, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    versions = {suite.name: [suite.versions()] for suite in npm.suites()}
    for name, lines in config.stash.get(NUMBERS, {}).items():
        terminalreporter.section(name)
        for line in (*versions.get(name, []), *lines):
            terminalreporter.write_line(line)
