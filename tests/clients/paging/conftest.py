import shutil
from pathlib import Path

import pytest
from tests.clients.npm import Suite
from tests.test_cli import PATIENCE_S

SUITE = Suite(Path(__file__).parent)


@pytest.fixture(scope="session")
def compiled() -> str:
    """What relay-compiler said about our fragments and the repository's schema."""
    artifacts = SUITE.folder / "__generated__"
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir()
    return SUITE.run(SUITE.modules / "relay-compiler/cli.js", "relay.config.json", timeout_s=PATIENCE_S)
