"""Clients that take an answer in parts while one provider hangs."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from tests.clients.npm import Suite
from tests.test_cli import NOW, PATIENCE_S, started, url_in

from syncgraph import sandboxes

SUITE = Suite(Path(__file__).parent)
ANSWERING = ["den", "timbal", "airweave"]
HUNG = "outlit"
GIVEN_UP_AFTER_S = 2.0
TYPES = {
    "apollo-current": 'multipart/mixed; boundary="-"; incrementalSpec=v0.2',
    "apollo-older": 'multipart/mixed; boundary="-"; deferSpec=20220824',
    "urql": 'multipart/mixed; boundary="-"; incrementalSpec=v0.2',
}


@pytest.fixture(scope="module")
def hanging_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway over three sandboxes as processes, and a fourth provider that takes requests and never answers."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        hung = (
            f'[providers.{HUNG}]\nkind = "{HUNG}"\ncredential = "env:{HUNG.upper()}_KEY"\n'
            f'base_url = "http://127.0.0.1:{silent.getsockname()[1]}"\n'
            f"attempt_timeout_s = {GIVEN_UP_AFTER_S}\nretry_timeouts = false\n"
        )
        tables = [hung]
        for name in ANSWERING:
            _, said = stack.enter_context(started("sandbox", name, "--port", "0", "--now", NOW))
            tables.append(said[said.index("[providers.") :])
        config = tmp_path_factory.mktemp("defer") / "c.toml"
        config.write_text("\n".join(tables))
        env = {f"{name.upper()}_KEY": sandboxes.SANDBOXES[name].KEY for name in [*ANSWERING, HUNG]}
        _, said = stack.enter_context(
            started("serve", "--config", str(config), "--port", "0", "--now", NOW, env=env)
        )
        yield url_in(said)


@pytest.mark.parametrize("client", TYPES)
def test_a_hung_provider_delays_neither_the_first_answer_nor_the_others(
    client: str, hanging_url: str, numbers: dict[str, list[str]]
):
    found = msgspec.json.decode(SUITE.run("defer.mjs", hanging_url, client, *ANSWERING, timeout_s=PATIENCE_S))

    *before, last = found["states"]
    assert found["types"] == [TYPES[client]]
    assert set(before[0]["names"]) == {*ANSWERING, HUNG}
    assert [state["codes"] for state in before] == [[]] * len(before)
    assert set(before[-1]["linked"]) == set(last["linked"]) - {HUNG} == set(ANSWERING)
    assert (last["codes"], last["troubled"]) == (["UPSTREAM_TIMEOUT"], [HUNG])
    some = next(state for state in found["states"] if state["linked"])
    numbers.setdefault("http", []).append(
        f"@defer, {client}: first answer after {before[0]['ms']:.0f} ms, some provider's after {some['ms']:.0f} ms,"
        f" all that answer after {before[-1]['ms']:.0f} ms, the hung one's error after {last['ms']:.0f} ms"
        f" (the fastest provider alone: {found['fastest']:.0f} ms)"
    )
