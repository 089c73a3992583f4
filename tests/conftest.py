from collections.abc import AsyncIterator

import pytest
import stamina
from tests.gateway import Gateway, running


@pytest.fixture(autouse=True)
def _no_waiting():
    """The retry policy as it is, without its pauses."""
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """The gateway over the sandboxes of today's contracts, at a frozen instant."""
    async with running() as gateway:
        yield gateway
