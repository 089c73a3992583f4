"""Names a test as one row of the fault matrix: one cell for each provider."""

import pytest
from tests.faults.stage import KINDS


def cell(fault: str) -> pytest.MarkDecorator:
    """``fault``: F01 to F42, as docs/reliability.md lists them."""
    return pytest.mark.parametrize("kind", KINDS, ids=[f"{fault}-{kind}" for kind in KINDS])
