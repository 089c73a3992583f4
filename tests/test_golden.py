import pytest
from tests.gateway import running
from tests.golden import GOLDEN, Golden


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
async def test_a_client_sees_and_the_providers_get_what_the_file_says(golden: Golden):
    async with running(golden.contracts) as gateway:
        body = await gateway.ask(golden.query, **golden.variables)

    assert body == golden.response
    assert sorted(gateway.upstreams.sent) == sorted(golden.upstream)


async def test_an_answer_does_not_depend_on_the_moment_it_is_asked_at_a_frozen_clock():
    async with running() as first, running() as second:
        for golden in GOLDEN:
            if not golden.contracts:
                assert await first.ask(golden.query, **golden.variables) == await second.ask(
                    golden.query, **golden.variables
                )
