import asyncio
import base64
import gzip
import json
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
import pytest
import stamina
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests import virtual
from tests.gateway import NOW

from syncgraph import errors
from syncgraph.config import ProviderSettings
from syncgraph.upstream import exchange
from syncgraph.upstream.account import Account, Patience
from syncgraph.upstream.answer import Answer, Dialect, error_of, failure_of, retry_after
from syncgraph.upstream.breaker import Outcome
from syncgraph.upstream.client import USER_AGENT, Upstream, segment
from syncgraph.upstream.ledger import Ledger
from syncgraph.upstream.quota import http_date
from syncgraph.upstream.redaction import redactor
from syncgraph.upstream.slice import Slice
from syncgraph.upstream.transport import connect
from syncgraph.upstream.turns import Turns

fixed = settings(max_examples=60, deadline=None, derandomize=True)

SECRET = 'sk-live/ünï+c0de="q\\x~'
ANY = msgspec.json.Decoder(object)
GONE = "Set contract to v2."
DIALECT = Dialect(
    headers={"authorization": "Bearer the-credential-itself"}, gone_hint=GONE, request_id="x-request-id"
)
TINY_S = 0.05
Handler = Callable[[httpx2.Request], httpx2.Response | Awaitable[httpx2.Response]]


def account(
    transport: httpx2.AsyncBaseTransport,
    *,
    base_url="http://acme.test",
    clock: Callable[[], datetime] = lambda: NOW,
    **patience: Any,
) -> Account:
    return Account(
        name="acme",
        base_url=base_url,
        transport=transport,
        dialect=DIALECT,
        patience=Patience(**patience),
        redact=redactor([SECRET]),
        clock=clock,
    )


@asynccontextmanager
async def opened(its: Account, *, within_s: float = 10.0) -> AsyncIterator[Upstream]:
    upstream = Upstream(its, time=Slice(within_s, asyncio.get_running_loop().time() + within_s), now=NOW)
    try:
        yield upstream
    finally:
        await upstream.close()


@asynccontextmanager
async def over(handler: Handler, *, within_s: float = 10.0, **patience: Any) -> AsyncIterator[Upstream]:
    """The door to an upstream that answers as ``handler`` says."""
    async with opened(account(httpx2.MockTransport(handler), **patience), within_s=within_s) as upstream:  # type: ignore[arg-type]
        yield upstream


class Script:
    """Answers with one thing after another, the last of them for ever; keeps the requests."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


@dataclass
class Gate:
    """An upstream that answers when told; knows how many exchanges are under way and how many were stopped."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0
    under_way: int = 0
    peak: int = 0
    stopped: int = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            self.under_way -= 1
        return httpx2.Response(200, json={"path": request.url.path})


@dataclass
class Server:
    """A TCP server that answers raw bytes, one exchange per connection; keeps the heads of requests."""

    answer: Callable[[asyncio.StreamWriter], Awaitable[None]]
    heads: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Server"]:
        serving: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            serving.add(task)
            try:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                self.asked.set()
                await self.answer(writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            except asyncio.CancelledError:
                # Ours, below: a connection handler that ends cancelled is logged as an error.
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving)


def saying(*chunks: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    return answer


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def http(
    body: bytes = b"[]", *headers: str, status: str = "200 OK", media: str = "application/json"
) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        f"content-type: {media}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*head, *headers, "", ""]).encode("latin-1") + body


@asynccontextmanager
async def wired(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], *, within_s: float = 10.0, **patience: Any
) -> AsyncIterator[tuple[Upstream, Server]]:
    """The door over a real socket and the product's own transport."""
    async with Server(answer).listening() as server:
        base_url = f"http://127.0.0.1:{server.port}"
        transport = connect(
            ProviderSettings(kind="den", contract="x", base_url=base_url, credential=SecretStr("unused"))
        )
        try:
            async with opened(
                account(transport, base_url=base_url, **patience), within_s=within_s
            ) as upstream:
                yield upstream, server
        finally:
            await transport.aclose()


def ok(body: object = 0) -> httpx2.Response:
    return httpx2.Response(200, json=body)


async def test_a_get_asks_for_json_with_the_credential_and_nothing_else():
    script = Script(ok({"a": 1}))
    async with over(script) as upstream:
        assert await upstream.get("/x/y", ANY, {"limit": "3", "q": "a b&c"}) == {"a": 1}

    (sent,) = script.requests
    assert (sent.method, str(sent.url)) == ("GET", "http://acme.test/x/y?limit=3&q=a+b%26c")
    assert dict(sent.headers) == {
        "host": "acme.test",
        "authorization": "Bearer the-credential-itself",
        "accept": "application/json",
        "user-agent": USER_AGENT,
    }


async def test_an_ask_posts_json():
    script = Script(ok([1]))
    async with over(script) as upstream:
        assert await upstream.ask("/query", ANY, {"sql": "é"}) == [1]

    (sent,) = script.requests
    assert (sent.method, sent.headers["content-type"]) == ("POST", "application/json")
    assert json.loads(sent.content) == {"sql": "é"}


async def test_a_base_url_may_end_in_a_slash_and_have_a_path():
    script = Script(ok())
    async with opened(account(httpx2.MockTransport(script), base_url="http://acme.test/api/")) as upstream:
        await upstream.get("/x", ANY)

    assert str(script.requests[0].url) == "http://acme.test/api/x"


async def test_find_gives_none_for_what_is_not_there_and_get_raises():
    async with over(Script(httpx2.Response(404, json={}))) as upstream:
        assert await upstream.find("/x", ANY) is None
        with pytest.raises(errors.UpstreamNotFoundError):
            await upstream.get("/x", ANY)


async def test_find_raises_what_else_went_wrong():
    async with over(Script(httpx2.Response(403))) as upstream:
        with pytest.raises(errors.UpstreamForbiddenError):
            await upstream.find("/x", ANY)


@fixed
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_segment_of_a_path_cannot_leave_its_place(text):
    url = httpx2.URL(f"http://acme.test/a/{segment(text)}b/c")

    assert url.raw_path.count(b"/") == 3
    assert not {b"?", b"#"} & {bytes([byte]) for byte in url.raw_path}


@pytest.mark.parametrize("dots", [".", ".."])
def test_dots_as_a_segment_do_not_climb(dots):
    with pytest.raises(ValueError, match="dot segment"):
        segment(dots)


async def test_an_attempt_that_never_ends_is_a_timeout_and_is_tried_again_where_that_is_wanted():
    gate = Gate()
    async with over(gate, attempt_s=TINY_S, retry_timeouts=True) as upstream:
        with pytest.raises(errors.UpstreamTimeoutError, match="did not answer in time"):
            await upstream.get("/x", ANY)

        assert (gate.calls, upstream.calls, gate.under_way) == (2, 2, 0)


async def test_a_timeout_is_not_tried_again():
    gate = Gate()
    async with over(gate, attempt_s=TINY_S) as upstream:
        with pytest.raises(errors.UpstreamTimeoutError):
            await upstream.get("/x", ANY)

        assert gate.calls == 1


async def test_other_failures_are_tried_again_though_timeouts_are_not():
    script = Script(httpx2.Response(503), ok([1]))
    async with over(script) as upstream:
        assert await upstream.get("/x", ANY) == [1]


async def test_the_operations_deadline_ends_an_attempt_that_has_time_left():
    gate = Gate()
    async with over(gate, within_s=TINY_S, attempt_s=60) as upstream:
        with pytest.raises(errors.UpstreamTimeoutError, match="within the time"):
            await upstream.get("/x", ANY)

        assert (gate.calls, gate.stopped) == (1, 1)


async def test_the_operations_deadline_ends_the_wait_for_a_turn():
    gate = Gate()
    its = account(httpx2.MockTransport(gate), concurrency=1, attempt_s=60)
    async with opened(its) as busy, opened(its, within_s=TINY_S) as late:
        under_way = asyncio.create_task(busy.get("/x", ANY))
        await gate.started.wait()
        with pytest.raises(errors.UpstreamTimeoutError):
            await late.get("/x", ANY)
        gate.release.set()
        await under_way

    assert (gate.calls, late.calls) == (1, 0)


async def test_a_deadline_that_has_passed_is_a_timeout():
    async with wired(saying(http()), within_s=-1) as (upstream, server):
        with pytest.raises(errors.UpstreamTimeoutError):
            await upstream.get("/x", ANY)

    assert server.heads == []


@pytest.mark.parametrize("seconds", [{"attempt_s": 0.5}, {"within_s": 0.5, "attempt_s": 60}])
async def test_a_server_that_never_answers_is_a_timeout(seconds):
    async with wired(silence, attempts=1, **seconds) as (upstream, server):
        with pytest.raises(errors.UpstreamTimeoutError):
            await upstream.get("/x", ANY)

    assert server.heads


@pytest.mark.parametrize("seconds", [{"attempt_s": 0.2}, {"within_s": 0.2, "attempt_s": 60}])
async def test_a_body_that_drips_is_a_timeout_however_often_a_byte_comes(seconds):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(http(b" " * 100_000)[:-100_000])
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with wired(drip, **seconds) as (upstream, _):
        with pytest.raises(errors.UpstreamTimeoutError):
            await upstream.get("/x", ANY)


async def test_headers_that_drip_are_a_timeout():
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for n in range(100_000):
            writer.write(f"x-{n}: y\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.01)

    async with wired(drip, attempt_s=0.2, attempts=1) as (upstream, _):
        with pytest.raises(errors.UpstreamTimeoutError):
            await upstream.get("/x", ANY)


@pytest.mark.parametrize(
    "passing",
    [
        httpx2.Response(500),
        httpx2.Response(502),
        httpx2.Response(503),
        httpx2.Response(503, headers={"retry-after": "0"}),
        httpx2.Response(429, headers={"retry-after": "0"}),
        httpx2.ConnectError("refused"),
        httpx2.ReadError("reset"),
        ConnectionResetError(),
    ],
    ids=repr,
)
async def test_what_may_pass_is_tried_once_more(passing):
    script = Script(passing, ok([1]))
    async with over(script) as upstream:
        assert await upstream.get("/x", ANY) == [1]

        assert upstream.calls == 2


async def test_what_does_not_pass_is_tried_only_once_more():
    script = Script(httpx2.Response(503))
    async with over(script) as upstream:
        with pytest.raises(errors.UpstreamUnavailableError):
            await upstream.get("/x", ANY)

    assert len(script.requests) == 2


@pytest.mark.parametrize("status", [302, 400, 429, 401, 402, 403, 404, 405, 409, 410, 418, 422, 451])
async def test_what_will_not_pass_is_not_tried_again(status):
    script = Script(httpx2.Response(status))
    async with over(script) as upstream:
        with pytest.raises(errors.UpstreamError) as caught:
            await upstream.get("/x", ANY)

    assert (len(script.requests), caught.value.http_status) == (1, status)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, html="<p>"),
        httpx2.Response(200, headers={"content-type": "application/json"}, content=b"{"),
        httpx2.Response(200, json="x" * 3000),
    ],
    ids=["html", "truncated", "too large"],
)
async def test_an_answer_of_another_shape_is_not_tried_again(answer):
    script = Script(answer)
    async with over(script, max_bytes=2000) as upstream:
        with pytest.raises(errors.UpstreamContractError):
            await upstream.get("/x", ANY)

    assert len(script.requests) == 1


async def test_a_pause_that_the_provider_asks_for_beyond_the_deadline_is_not_waited_for():
    script = Script(httpx2.Response(429, headers={"retry-after": "11"}), ok())
    async with over(script, within_s=10) as upstream:
        with pytest.raises(errors.UpstreamRateLimitedError) as caught:
            await upstream.get("/x", ANY)

    assert len(script.requests) == 1
    assert caught.value.retry_after == NOW + timedelta(seconds=11)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_credential_that_is_known_to_lack_a_right_was_accepted_all_the_same(status):
    its = account(httpx2.MockTransport(Script(httpx2.Response(status))))
    async with opened(its) as upstream:
        with pytest.raises(errors.UpstreamError):
            await upstream.get("/x", ANY)

    assert its.accepted_at is not None


def test_a_pause_of_a_second_at_most_is_made_once_and_is_as_long_as_asked_for():
    async def asked(seconds: int, *, within_s: float) -> tuple[float, int]:
        script = Script(httpx2.Response(503, headers={"retry-after": str(seconds)}), ok())
        its = account(httpx2.MockTransport(script), clock=virtual.now)
        async with opened(its, within_s=within_s) as upstream:
            with suppress(errors.UpstreamUnavailableError):
                await upstream.get("/x", ANY)
        return asyncio.get_running_loop().time(), len(script.requests)

    with stamina.set_testing(False):
        assert virtual.run(asked(1, within_s=10)) == (1.0, 2)
        assert virtual.run(asked(2, within_s=10)) == (0.0, 1)
        assert virtual.run(asked(1, within_s=1.5)) == (0.0, 1)


async def test_a_server_that_is_not_there_is_unavailable():
    async with Server(silence).listening() as gone:
        base_url = f"http://127.0.0.1:{gone.port}"
    transport = connect(
        ProviderSettings(kind="den", contract="x", base_url=base_url, credential=SecretStr("unused"))
    )
    async with opened(account(transport, base_url=base_url)) as upstream:
        with pytest.raises(errors.UpstreamUnavailableError, match="cannot be reached"):
            await upstream.get("/x", ANY)
        assert upstream.calls == 2
    await transport.aclose()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9",
        http(b"[1, 2, 3]")[:-3],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        http(b"[]", "x: " + "y" * 20_000),
        http(b"[]", *(f"x-{n}: y" for n in range(5_000))),
        http(b"[]", "content-length: 3"),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: -5\r\n\r\n[]",
        http(b"no gzip", "content-encoding: gzip"),
    ],
    ids=[
        "nothing",
        "half a head",
        "half a body",
        "another protocol",
        "no status",
        "tls alert",
        "long header",
        "many headers",
        "two lengths",
        "bad chunk",
        "negative length",
        "bad gzip",
    ],
)
async def test_an_answer_that_is_not_http_is_a_failure_of_the_provider(raw):
    async with wired(saying(raw)) as (upstream, _):
        with pytest.raises((errors.UpstreamUnavailableError, errors.UpstreamContractError)):
            await upstream.get("/x", ANY)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_answer_is_cut_off_while_it_is_read(encoding):
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        head = ["HTTP/1.1 200 OK", "content-type: application/json", "transfer-encoding: chunked"]
        writer.write("\r\n".join([*head, f"content-encoding: {encoding}", "", ""]).encode())
        zeros = b"0" * 1_000_000
        packer = zlib.compressobj(9, wbits=31)
        while sent < 10**9:
            chunk = packer.compress(zeros) + packer.flush(zlib.Z_SYNC_FLUSH) if encoding == "gzip" else zeros
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)  # a small write does not wait, and the client is in this process
            sent += len(zeros)

    async with wired(endless, max_bytes=100_000) as (upstream, server):
        with pytest.raises(errors.UpstreamContractError, match="too large"):
            await upstream.get("/x", ANY)

    assert sent < 10**9
    assert len(server.heads) == 1


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_refused():
    bomb = gzip.compress(gzip.compress(b'"' + b"0" * 50_000_000 + b'"', 9), 9)
    packed = gzip.compress(b'"' + b"0" * 5_000_000 + b'"', 9)
    assert len(packed) < 10_000
    async with wired(saying(http(packed, "content-encoding: gzip"))) as (upstream, _):
        with pytest.raises(errors.UpstreamContractError, match="too large"):
            await upstream.get("/x", ANY)
    async with wired(saying(http(bomb, "content-encoding: gzip, gzip"))) as (upstream, _):
        with pytest.raises(errors.UpstreamContractError, match="too large"):
            await upstream.get("/x", ANY)


@pytest.mark.parametrize("size", [1000, 1001])
async def test_an_answer_may_be_as_large_as_the_cap_and_no_larger(size):
    body = b'"' + b"x" * (size - 2) + b'"'
    async with over(Script(httpx2.Response(200, headers=JSON, content=body)), max_bytes=1000) as upstream:
        if size > 1000:
            with pytest.raises(errors.UpstreamContractError):
                await upstream.get("/x", ANY)
        else:
            assert await upstream.get("/x", ANY) == "x" * 998


JSON = {"content-type": "application/json"}


async def test_an_answer_that_is_packed_is_read():
    async with wired(saying(http(gzip.compress(b"[1, 2]"), "content-encoding: gzip"))) as (upstream, _):
        assert await upstream.get("/x", ANY) == [1, 2]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(status):
    async with Server(saying(http(b'"internal"'))).listening() as internal:
        where = f"location: http://127.0.0.1:{internal.port}/"
        async with wired(saying(http(b"", where, status=status))) as (upstream, server):
            with pytest.raises(errors.UpstreamContractError):
                await upstream.get("/x", ANY)

    assert (len(server.heads), internal.heads) == (1, [])


async def test_a_cookie_is_neither_kept_nor_sent_back():
    async with wired(saying(http(b"[]", "set-cookie: session=abc; Path=/"))) as (upstream, server):
        await upstream.get("/one", ANY)
        await upstream.get("/two", ANY)

    assert len(server.heads) == 2
    assert "cookie" not in "".join(server.heads).lower()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_in_the_environment_are_ignored(monkeypatch, name):
    async with Server(saying(http(b'"proxied"'))).listening() as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with wired(saying(http(b'"direct"'))) as (upstream, _):
            assert await upstream.get("/x", ANY) == "direct"

    assert proxy.heads == []


async def test_the_proxy_that_is_configured_is_used():
    async with Server(saying(http(b'"proxied"'))).listening() as proxy:
        its = ProviderSettings(
            kind="den",
            contract="x",
            base_url="http://acme.invalid",
            credential=SecretStr("unused"),
            allow_insecure=True,
            proxy=f"http://127.0.0.1:{proxy.port}",
        )
        transport = connect(its)
        async with opened(account(transport, base_url=its.base_url)) as upstream:
            assert await upstream.get("/x", ANY) == "proxied"
        await transport.aclose()

    assert proxy.heads[0].startswith("GET http://acme.invalid/x ")


async def test_a_credential_file_of_the_user_is_ignored(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with wired(saying(http())) as (upstream, server):
        await upstream.get("/x", ANY)

    assert "authorization: bearer the-credential-itself" in server.heads[0].lower()
    assert "basic" not in server.heads[0].lower()


async def test_equal_gets_of_one_request_are_one_exchange():
    script = Script(ok([1]))
    async with over(script) as upstream:
        asked = [upstream.get("/x", ANY, {"a": "1", "b": "2"}), upstream.get("/x", ANY, {"b": "2", "a": "1"})]
        assert await asyncio.gather(*asked) == [[1], [1]]
        assert await upstream.get("/x", ANY, {"a": "1", "b": "2"}) == [1]

        assert (len(script.requests), upstream.calls) == (1, 1)


async def test_different_reads_are_exchanges_of_their_own():
    script = Script(ok([1]))
    async with over(script) as upstream:
        await upstream.get("/x", ANY)
        await upstream.get("/x", ANY, {"a": "1"})
        await upstream.get("/y", ANY)
        await upstream.ask("/x", ANY, {"a": 1})
        await upstream.ask("/x", ANY, {"a": 2})
        await upstream.ask("/x", ANY, {"a": 2})

    assert len(script.requests) == 5


async def test_another_request_asks_again():
    script = Script(ok([1]))
    its = account(httpx2.MockTransport(script))
    for _ in range(2):
        async with opened(its) as upstream:
            await upstream.get("/x", ANY)

    assert len(script.requests) == 2


async def test_no_more_exchanges_are_under_way_than_the_provider_may_bear():
    gate = Gate()
    its = account(httpx2.MockTransport(gate), concurrency=3)
    async with opened(its) as one, opened(its) as other:
        paths = {one: "/a", other: "/b"}
        asked = [
            asyncio.create_task(door.get(f"{path}/{n}", ANY))
            for door, path in paths.items()
            for n in range(6)
        ]
        await gate.started.wait()
        gate.release.set()
        await asyncio.gather(*asked)

    assert (gate.calls, gate.peak) == (12, 3)


async def test_a_slot_is_free_again_after_whatever_happened():
    gate = Gate()
    its = account(httpx2.MockTransport(gate), concurrency=1, attempt_s=TINY_S)
    async with opened(its) as upstream:
        with pytest.raises(errors.UpstreamTimeoutError):
            await upstream.get("/x", ANY)
        task = asyncio.create_task(upstream.get("/y", ANY))
        gate.started.clear()
        await gate.started.wait()
        task.cancel()
    its.transport = httpx2.MockTransport(Script(httpx2.ConnectError("no"), ok([1])))
    async with opened(its) as upstream:
        assert await upstream.get("/x", ANY) == [1]


async def test_closing_stops_what_nobody_waits_for_any_more():
    gate = Gate()
    before = asyncio.all_tasks()
    async with over(gate) as upstream:
        waiter = asyncio.create_task(upstream.get("/x", ANY))
        await gate.started.wait()
        waiter.cancel()
        await asyncio.wait([waiter])
        assert (gate.under_way, gate.stopped) == (1, 0)

    assert (gate.under_way, gate.stopped) == (0, 1)
    assert asyncio.all_tasks() == before


async def test_closing_before_an_exchange_has_begun_leaves_nothing_behind():
    gate = Gate()
    before = asyncio.all_tasks()
    async with over(gate) as upstream:
        waiter = asyncio.create_task(upstream.get("/x", ANY))
        await asyncio.sleep(0)
        waiter.cancel()
    await asyncio.wait([waiter])

    assert (gate.under_way, asyncio.all_tasks()) == (0, before)


async def test_closing_frees_the_connection():
    async with wired(silence, attempt_s=60) as (upstream, server):
        waiter = asyncio.create_task(upstream.get("/x", ANY))
        await server.asked.wait()
        waiter.cancel()
        await upstream.close()

        session = upstream._account.transport._inner.client  # type: ignore[attr-defined]
        assert len(session.connector._acquired) == 0


async def test_cancelling_one_waiter_harms_no_other_of_the_same_get():
    gate = Gate()
    async with over(gate) as upstream:
        first, second = (asyncio.create_task(upstream.get("/x", ANY)) for _ in range(2))
        await gate.started.wait()
        first.cancel()
        await asyncio.wait([first])
        gate.release.set()

        assert await second == {"path": "/x"}
        assert (first.cancelled(), gate.calls) == (True, 1)


async def test_a_failure_is_told_to_every_waiter_and_leaves_nothing_unheard():
    heard: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    script = Script(httpx2.Response(403))
    async with over(script) as upstream:
        told = await asyncio.gather(*(upstream.get("/x", ANY) for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in told] == [errors.UpstreamForbiddenError] * 3
    assert (len(script.requests), heard) == (1, [])


FORMS = {
    "raw": SECRET.encode(),
    "json": json.dumps(SECRET)[1:-1].encode(),
    "json with characters as they are": json.dumps(SECRET, ensure_ascii=False)[1:-1].encode(),
    "json with escaped slashes": json.dumps(SECRET)[1:-1].replace("/", r"\/").encode(),
    "url": quote(SECRET, safe="").encode(),
    "url in small letters": quote(SECRET, safe="").lower().encode(),
    "url with slashes": quote(SECRET).encode(),
    "base64": base64.b64encode(SECRET.encode()),
    "base64 for urls": base64.urlsafe_b64encode(SECRET.encode()),
    "base64 without padding": base64.b64encode(SECRET.encode()).rstrip(b"="),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_is_removed_in_every_form(form):
    redacted = redactor(["another-secret", SECRET])(b'{"a": "x ' + FORMS[form] + b' y"}')

    assert FORMS[form] not in redacted
    assert b'{"a": "x ***' in redacted
    assert b' y"}' in redacted


@pytest.mark.parametrize("form", FORMS)
async def test_a_known_secret_is_removed_before_an_answer_is_decoded(form):
    if form == "raw":
        return  # not JSON: it holds a quotation mark
    body = b'{"message": "bad key ' + FORMS[form] + b'"}'
    async with over(Script(httpx2.Response(200, headers=JSON, content=body))) as upstream:
        answer = await upstream.get("/x", ANY)

    assert answer["message"].rstrip("=") == "bad key ***"  # type: ignore[index]


def test_all_secrets_are_removed_and_the_longest_first():
    assert redactor(["secret-1", "secret-1-and-more"])(b"secret-1-and-more secret-1") == b"*** ***"


@pytest.mark.parametrize("secrets", [[], [""], ["short"]])
def test_a_secret_that_would_blank_out_words_is_left(secrets):
    assert redactor(secrets)(b"short words") == b"short words"


@fixed
@given(st.text(st.characters(codec="utf-8"), min_size=6, max_size=40), st.binary(max_size=60))
def test_a_secret_never_comes_through(secret, around):
    redacted = redactor([secret])(around + json.dumps(secret).encode() + secret.encode() + around)

    assert secret.encode() not in redacted.replace(b"***", b"\xff") or secret.encode() in around + around


TROUBLE: dict[str, httpx2.Response | Exception] = {
    "refused": httpx2.ConnectError(f"GET http://acme.test/orgs/o-1/runs?key={quote(SECRET)}"),
    "503": httpx2.Response(
        503, json={"detail": "body-text"}, headers={"x-request-id": "r-1", "x-h": "header-text"}
    ),
    "401": httpx2.Response(401, json={"detail": "body-text"}),
    "404": httpx2.Response(404, json={"detail": "body-text"}),
    "410": httpx2.Response(410, json={"detail": "body-text"}),
    "429": httpx2.Response(429, json={"detail": "body-text"}, headers={"retry-after": "1"}),
    "302": httpx2.Response(302, headers={"location": "http://header-text.test"}),
    "html": httpx2.Response(200, html="body-text"),
    "broken": httpx2.Response(200, headers=JSON, content=b'{"body-text": '),
    "shape": httpx2.Response(200, json={"body-text": 1}),
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_neither_errors_nor_logs_tell_addresses_headers_credentials_or_bodies(trouble, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        async with over(Script(TROUBLE[trouble])) as upstream:
            with pytest.raises(errors.UpstreamError) as caught:
                await upstream.get(
                    "/orgs/o-1/runs", msgspec.json.Decoder(list[int]), {"cursor": "param-text"}
                )
    told = " ".join([str(caught.value), repr(caught.value), str(logs), caplog.text, *capfd.readouterr()])

    for hidden in (
        "acme.test",
        "o-1",
        "param-text",
        "header-text",
        "body-text",
        "the-credential-itself",
        SECRET,
    ):
        assert hidden not in told
    warned = [entry for entry in logs if entry["log_level"] == "warning" and entry.get("provider") == "acme"]
    assert bool(warned) is (trouble != "404"), (
        "what is not there may be an answer, all else is a line in the log"
    )


async def test_an_error_carries_the_facts():
    answer = httpx2.Response(503, headers={"x-request-id": "r-1", "retry-after": "7"})
    async with over(Script(answer)) as upstream:
        with pytest.raises(errors.UpstreamUnavailableError) as caught:
            await upstream.get("/x", ANY)

    error = caught.value
    assert (error.provider, error.http_status, error.request_id) == ("acme", 503, "r-1")
    assert error.retry_after == NOW + timedelta(seconds=7)


def test_an_account_does_not_show_its_credential():
    its = account(httpx2.MockTransport(Script(ok())))

    assert "the-credential-itself" not in repr(its) + repr(its.dialect)


async def test_a_route_that_is_gone_says_what_to_configure():
    async with over(Script(httpx2.Response(410))) as upstream:
        with pytest.raises(errors.UpstreamGoneError, match=GONE):
            await upstream.get("/x", ANY)


async def test_the_newest_headers_are_known_by_small_names():
    async with over(Script(httpx2.Response(404, headers={"X-RateLimit-Remaining": "3"}))) as upstream:
        assert upstream.last_headers == {}
        await upstream.find("/x", ANY)

        assert (upstream.last_headers["x-ratelimit-remaining"], upstream.name) == ("3", "acme")


async def test_whether_the_credential_worked_before_is_told_to_the_dialect():
    told = []

    def refusal(answer: Answer, worked: bool) -> type[errors.UpstreamError] | None:  # noqa: FBT001  # Dialect's shape
        told.append(worked)
        return errors.UpstreamRateLimitedError if worked else None

    its = account(httpx2.MockTransport(Script(httpx2.Response(401), ok([]), httpx2.Response(401))))
    its.dialect = Dialect(headers={}, gone_hint=GONE, refusal=refusal)
    kinds = []
    for path in ("/1", "/2", "/3", "/4"):
        async with opened(its) as upstream:
            try:
                await upstream.get(path, ANY)
            except errors.UpstreamError as error:
                kinds.append(type(error))
        if path == "/3":
            assert its.accepted_at is not None
            its.accepted_at -= exchange.WORKED_RECENTLY_S
            its.turns = Turns(Ledger())  # which has rested

    assert kinds == [errors.UpstreamAuthError, errors.UpstreamRateLimitedError, errors.UpstreamAuthError]
    assert told == [False, True, False]


@pytest.mark.parametrize(
    "media", ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
)
async def test_json_is_known_by_its_media_type(media):
    async with over(
        Script(httpx2.Response(200, headers={"content-type": media}, content=b"[1]"))
    ) as upstream:
        assert await upstream.get("/x", ANY) == [1]


@pytest.mark.parametrize(
    "media", ["", "text/html", "text/json", "application/jsonp", "text/plain; x=application/json"]
)
async def test_what_is_not_called_json_is_not_read(media):
    headers = {"content-type": media} if media else {}
    async with over(Script(httpx2.Response(200, headers=headers, content=b"[1]"))) as upstream:
        with pytest.raises(errors.UpstreamContractError, match="not JSON"):
            await upstream.get("/x", ANY)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'"\xff"', b"nul", b'{"a": 1}'])
async def test_json_of_another_shape_is_a_broken_contract(body):
    async with over(Script(httpx2.Response(200, headers=JSON, content=body))) as upstream:
        with pytest.raises(errors.UpstreamContractError) as caught:
            await upstream.get("/x", msgspec.json.Decoder(list[int]))

    assert caught.value.http_status == 200


def date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "  7 "}, 7),
        ({"retry-after": "007"}, 7),
        ({"retry-after": "3600"}, 3600),
        ({"retry-after": "3601"}, 3600),
        ({"retry-after": "1795340467"}, 3600),
        ({"retry-after": "9" * 400}, 3600),
        ({"retry-after": "9" * 5000}, 3600),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "2026-11-22T09:41:08Z"}, None),
        ({"retry-after": date(30)}, 30),
        ({"retry-after": date(30), "date": "junk"}, 30),
        ({"retry-after": date(30), "date": date(0)}, 30),
        ({"retry-after": date(1030), "date": date(1000)}, 30),
        ({"retry-after": date(-970), "date": date(-1000)}, 30),
        ({"retry-after": date(-5)}, 0),
        ({"retry-after": date(5), "date": date(10)}, 0),
        ({"retry-after": date(86_400)}, 3600),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 GMT"}, 0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 2026 00:00:00 +9999999999999999"}, None),
        ({"retry-after": date(30), "date": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 30),
    ],
    ids=lambda value: str(value)[:70],
)
def test_retry_after_is_an_instant_on_our_clock_within_the_hour(headers, wait_s):
    assert retry_after(headers, NOW) == (None if wait_s is None else NOW + timedelta(seconds=wait_s))


@fixed
@given(st.text(max_size=60) | st.integers().map(str), st.text(max_size=60))
def test_no_header_makes_us_wait_longer_than_an_hour_or_fail(value, sent):
    until = retry_after({"retry-after": value, "date": sent}, NOW)

    assert until is None or NOW <= until <= NOW + timedelta(hours=1)


@settings(fixed, max_examples=60)
@given(
    st.sampled_from(["Mon, ", ""]),
    st.integers(0, 10**25),
    st.sampled_from(["Jan", "Dec", "Foo", "1"]),
    st.integers(0, 10**25),
    st.integers(0, 10**25),
    st.sampled_from(["GMT", "-0000", "+0100", "+99999999999999", "EST", ""]),
)
def test_no_date_makes_us_fail(weekday, day, month, year, hour, zone):
    when = http_date(f"{weekday}{day} {month} {year} {hour}:00:00 {zone}")

    assert when is None or when.tzinfo is not None


def test_a_date_without_a_zone_is_none():
    assert http_date("Sun, 22 Nov 2026 09:41:07 -0000") is None
    assert http_date("Sun, 22 Nov 2026 09:41:07 GMT") == datetime(2026, 11, 22, 9, 41, 7, tzinfo=UTC)


MEANINGS: dict[int, type[errors.UpstreamError] | None] = {
    100: errors.UpstreamContractError,
    200: None,
    201: None,
    204: None,
    299: None,
    300: errors.UpstreamContractError,
    304: errors.UpstreamContractError,
    400: errors.UpstreamContractError,
    401: errors.UpstreamAuthError,
    402: errors.UpstreamQuotaError,
    403: errors.UpstreamForbiddenError,
    404: errors.UpstreamNotFoundError,
    405: errors.UpstreamGoneError,
    408: errors.UpstreamContractError,
    410: errors.UpstreamGoneError,
    422: errors.UpstreamContractError,
    429: errors.UpstreamRateLimitedError,
    500: errors.UpstreamUnavailableError,
    503: errors.UpstreamUnavailableError,
    599: errors.UpstreamUnavailableError,
}


@pytest.mark.parametrize(("status", "expected"), MEANINGS.items())
def test_a_status_means_one_thing(status, expected):
    assert failure_of(Answer(status, {}, b""), DIALECT, worked=False) is expected


def test_a_dialect_goes_before_the_status_but_never_over_a_success():
    dialect = Dialect(headers={}, gone_hint=GONE, refusal=lambda _answer, _worked: errors.UpstreamQuotaError)

    assert failure_of(Answer(503, {}, b""), dialect, worked=False) is errors.UpstreamQuotaError
    assert failure_of(Answer(200, {}, b""), dialect, worked=False) is None


def test_a_rate_limit_without_a_time_rests_as_long_as_the_dialect_says():
    dialect = Dialect(headers={}, gone_hint=GONE, rest=timedelta(seconds=60))

    def until(kind: type[errors.UpstreamError], headers: Mapping[str, str]) -> datetime | None:
        return error_of(kind, Answer(429, headers, b""), dialect, provider="acme", now=NOW).retry_after

    assert until(errors.UpstreamRateLimitedError, {}) == NOW + timedelta(seconds=60)
    assert until(errors.UpstreamRateLimitedError, {"retry-after": "5"}) == NOW + timedelta(seconds=5)
    assert until(errors.UpstreamUnavailableError, {}) is None


@pytest.mark.parametrize("kind", sorted({kind for kind in MEANINGS.values() if kind}, key=str))
def test_every_meaning_has_a_sentence(kind):
    error = error_of(
        kind, Answer(418, {}, b""), Dialect(headers={}, gone_hint=GONE), provider="acme", now=NOW
    )

    assert str(error).endswith(".")
    assert (error.http_status, error.request_id) == (418, None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[1]", ""),
        (b'"detail"', ""),
        (b"[" * 100_000, ""),
        (b'{"detail": "\xff"}', ""),
        (b'{"detail": 3, "error": "no"}', "no"),
        (b'{"detail": "why", "error": "no"}', "why"),
        (b'{"other": "x"}', ""),
    ],
)
def test_a_text_of_an_answer_is_the_first_there_is(body, expected):
    assert Answer(400, {}, body).text_at("detail", "error") == expected


async def test_a_call_that_stood_in_the_queue_while_the_circuit_opened_is_not_made():
    gate = Gate()
    its = account(httpx2.MockTransport(gate), concurrency=1, attempt_s=60)
    async with opened(its) as upstream:
        asked = [asyncio.create_task(upstream.get(f"/{n}", ANY)) for n in range(3)]
        await gate.started.wait()
        for _ in range(5):
            permit = its.breaker.admit(0)
            assert permit is not None
            its.breaker.settle(permit, Outcome.BADLY, asyncio.get_running_loop().time())
        gate.release.set()
        ended = await asyncio.gather(*asked, return_exceptions=True)

    assert ended[0] == {"path": "/0"}
    assert [type(one) for one in ended[1:]] == [errors.UpstreamCircuitOpenError] * 2
    assert (gate.calls, its.turns.ledger._under_way) == (1, 0)


async def test_closing_an_account_stops_what_it_still_reads():
    gate = Gate()
    its = account(httpx2.MockTransport(gate), attempt_s=60)
    async with opened(its) as upstream:
        asked = asyncio.create_task(upstream.get("/x", ANY))
        await gate.started.wait()
        await its.aclose()
        await asyncio.wait([asked])

    assert (gate.stopped, asked.cancelled()) == (1, True)


async def test_a_request_that_may_not_ask_any_more_is_told_so():
    script = Script(ok())
    its = account(httpx2.MockTransport(script))
    at = asyncio.get_running_loop().time()
    upstream = Upstream(its, time=Slice(5, at + 5), now=NOW, spend=lambda: False)
    with pytest.raises(errors.BudgetExceededError):
        await upstream.get("/x", ANY)
    await upstream.close()

    assert script.requests == []


async def test_an_answer_about_another_object_is_refused_and_an_alarm():
    with structlog.testing.capture_logs() as logs:
        async with over(Script(ok([2]))) as upstream:
            with pytest.raises(errors.UpstreamContractError, match="not asked for"):
                await upstream.get("/x", ANY, is_asked=lambda answer: answer == [1])

    assert "upstream_answered_with_another_object" in [entry["event"] for entry in logs]
