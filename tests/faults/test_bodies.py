"""F14 to F31: a provider that answers, in bytes that are no good."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from tests.faults.cells import cell
from tests.faults.faultd import CANARY, Exchange, Fault, Faultd, head
from tests.faults.stage import (
    ATTEMPT_S,
    PARTS,
    assert_others_unharmed,
    healthy,
    is_unharmed,
    staged,
    suffers,
)

TIMEOUT, DOWN, BAD = "UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE", "UPSTREAM_BAD_RESPONSE"
QUICK_S = 0.3
MIB = 2**20
EVERY_ROW = PARTS.replace("first: 6", "first: 100")


@cell("F14")
async def test_a_reset_after_the_headers_is_unavailable(kind: str):
    async def fault(exchange: Exchange) -> None:
        await exchange.send(head(content_length="1000"))
        exchange.reset()

    await suffers(kind, DOWN, within_s=QUICK_S, calls=2, fault=fault)


@cell("F15")
async def test_a_reset_in_the_middle_of_a_body_is_never_a_partial_object(kind: str):
    async def fault(exchange: Exchange) -> None:
        whole = (await exchange.healthy()).body
        await exchange.send(head(content_length=str(len(whole))) + whole[: len(whole) // 2])
        await asyncio.sleep(0.02)
        exchange.reset()

    await suffers(kind, (DOWN, BAD), within_s=QUICK_S, calls=2, fault=fault)


@cell("F16")
async def test_a_header_that_never_ends_is_a_bad_response(kind: str):
    async def fault(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nx-endless: " + CANARY.encode() * (200 * 1024 // len(CANARY)))
        await exchange.until_left()

    await suffers(kind, BAD, within_s=QUICK_S, fault=fault)


@cell("F17")
async def test_a_header_that_drips_is_a_timeout(kind: str):
    async def fault(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n")
        for number in count():
            await exchange.send(f"x-{number}: {CANARY}\r\n".encode())
            await asyncio.sleep(0.3)

    await suffers(kind, TIMEOUT, within_s=ATTEMPT_S, fault=fault)


@cell("F18")
async def test_a_body_that_drips_is_a_timeout_however_often_a_byte_comes(kind: str):
    async def fault(exchange: Exchange) -> None:
        await exchange.send(head(content_length="1000000"))
        while True:
            await exchange.send(b" ")
            await asyncio.sleep(0.05)

    await suffers(kind, TIMEOUT, within_s=ATTEMPT_S, fault=fault)


@cell("F19")
async def test_a_provider_that_says_nothing_is_a_timeout_and_its_connection_is_closed(kind: str):
    left = asyncio.Event()

    async def fault(exchange: Exchange) -> None:
        try:
            await exchange.until_left()
        finally:
            left.set()

    await suffers(kind, TIMEOUT, within_s=ATTEMPT_S, fault=fault)
    assert left.is_set()


@cell("F20")
async def test_a_body_shorter_than_its_length_is_a_bad_response(kind: str):
    async def fault(exchange: Exchange) -> None:
        whole = (await exchange.healthy()).body
        await exchange.send(head(content_length=str(len(whole))) + whole[:-10])
        exchange.writer.close()

    await suffers(kind, BAD, within_s=QUICK_S, fault=fault)


@cell("F21")
async def test_json_cut_off_without_a_length_is_a_bad_response(kind: str):
    async def fault(exchange: Exchange) -> None:
        whole = (await exchange.healthy()).body
        await exchange.send(head(connection="close") + whole[: len(whole) // 2])
        exchange.writer.close()

    await suffers(kind, BAD, within_s=QUICK_S, fault=fault)


def says(body: bytes | object, status: int = 200, **headers: Any) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.reply(body, status, **headers)

    return fault


@cell("F22")
async def test_json_cut_so_that_it_is_still_json_is_a_bad_response(kind: str):
    for prefix in ([1, 2], 1, None, "", {"i": 0}):
        await suffers(kind, BAD, within_s=QUICK_S, fault=says(prefix))


@cell("F23")
async def test_a_web_page_is_a_bad_response(kind: str):
    page = f"<!doctype html><title>{CANARY}: sign in to the network</title>".encode()
    await suffers(kind, BAD, within_s=QUICK_S, fault=says(page, media="text/html; charset=utf-8"))


def typed(media: str | None) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.reply((await exchange.healthy()).body, media=media)

    return fault


@cell("F24")
async def test_json_is_taken_only_when_it_says_that_it_is(kind: str):
    for media in ("text/plain", "text/json", "application/octet-stream", None):
        await suffers(kind, BAD, within_s=QUICK_S, fault=typed(media))
    for media in ("application/json; charset=utf-8", "application/vnd.provider+json"):
        await is_unharmed(kind, fault=typed(media))


@cell("F25")
async def test_an_empty_answer_is_a_bad_response(kind: str):
    await suffers(kind, BAD, within_s=QUICK_S, fault=says(b""))

    async def no_content(exchange: Exchange) -> None:
        await exchange.send(head(204))

    await suffers(kind, BAD, within_s=QUICK_S, fault=no_content)


@cell("F26")
async def test_what_cannot_be_decompressed_is_a_bad_response(kind: str):
    junk = gzip.compress(CANARY.encode())[:10] + b"\xff" * 200
    for encoding, body in (("gzip", junk), ("gzip", b"not gzip"), ("deflate", junk)):
        await suffers(kind, BAD, within_s=QUICK_S, fault=says(body, content_encoding=encoding))


@cache
def bomb() -> bytes:
    """300 MB of spaces in 300 KB."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join(packer.compress(b" " * MIB) for _ in range(300))
    return packed + packer.flush()


def resident() -> int:
    """Bytes of memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def most_resident(until: asyncio.Event) -> int:
    most = resident()
    while not until.is_set():
        most = max(most, resident())
        await asyncio.sleep(0)
    return most


async def grown(work: Callable[[], Any]) -> int:
    """By how much memory rose at most while ``work`` was done."""
    done, before = asyncio.Event(), resident()
    watching = asyncio.create_task(most_resident(done))
    try:
        await work()
    finally:
        done.set()
    return await watching - before


@cell("F27")
async def test_a_gzip_bomb_is_a_bad_response_at_two_mebibytes(kind: str):
    fault = says(bomb(), content_encoding="gzip")
    await healthy()

    async def explode() -> None:
        await suffers(kind, BAD, within_s=0.5, fault=fault)

    await explode()  # what is loaded and pooled once is not the bomb's
    assert await grown(explode) <= 8 * MIB


@cell("F28")
async def test_a_body_without_end_is_a_bad_response_at_two_mebibytes(kind: str):
    sent = 0

    async def fault(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send(head(content_length=str(10**9)))
        while True:
            await exchange.send(b" " * 65536)
            sent += 65536

    await suffers(kind, BAD, within_s=0.5, fault=fault)
    assert sent <= 16 * MIB, "the connection was not closed"


def put_in_a_row(place: str, json_text: bytes) -> Fault:
    """The healthy answer with ``json_text`` as the value of the first row's field ``place``."""
    mark = "put-it-here"

    async def fault(exchange: Exchange) -> None:
        answer = (await exchange.healthy()).json
        rows(answer)[0][place] = mark
        await exchange.reply(json.dumps(answer).encode().replace(json.dumps(mark).encode(), json_text, 1))

    return fault


def rows(answer: Any) -> list[dict[str, Any]]:
    """Of any provider's list."""
    lists = (
        [answer] if isinstance(answer, list) else [one for one in answer.values() if isinstance(one, list)]
    )
    found: list[dict[str, Any]] = lists[0]
    return found


HOSTILE = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "not a number": b"NaN",
    "infinite": b"-Infinity",
    "bytes that are no text": b'"\xff\xfe"',
    "half a surrogate pair": rb'"\ud800"',
}


@cell("F29")
async def test_json_that_readers_disagree_about_is_a_bad_response(kind: str):
    for text in HOSTILE.values():
        await suffers(kind, BAD, within_s=QUICK_S, fault=put_in_a_row("name", text))

    async def says_twice(exchange: Exchange) -> None:
        text = json.dumps((await exchange.healthy()).json)
        await exchange.reply(text.replace('"id":', '"id": "twice", "id":', 1).encode())

    await suffers(kind, BAD, within_s=QUICK_S, fault=says_twice)
    await costs_a_row(kind, put_in_a_row("name", b"1" + b"0" * 400))


async def costs_a_row(kind: str, fault: Fault) -> None:
    """The first row of the answer is missing and told of; the others are as they were."""
    undisturbed = await healthy(EVERY_ROW)
    rows = undisturbed.part(kind)["connectors"]["nodes"]
    async with staged(kind, fault=fault) as stage:
        asked = await stage.ask()
        await assert_others_unharmed(asked, kind)
        shown = asked.part(kind)["connectors"]["nodes"]
        assert len(shown) == min(6, len(rows) - 1)
        assert all(row in rows for row in shown)
        assert (asked.source(kind)["status"], asked.source(kind)["code"]) == ("INCOMPLETE", BAD)
        assert asked.codes() == {(kind, BAD)}
        assert asked.calls[kind] == 1


def changed(change: Callable[[dict[str, Any]], None]) -> Fault:
    """The healthy answer with its first row changed."""

    async def fault(exchange: Exchange) -> None:
        answer = (await exchange.healthy()).json
        change(rows(answer)[0])
        await exchange.reply(answer)

    return fault


REQUIRED = {"den": "updatedAt", "timbal": "enrolled_at", "outlit": "category", "airweave": "created_at"}


@cell("F30")
async def test_a_drifting_schema_costs_the_row_that_lost_what_it_needs_and_nothing_else(kind: str):
    await costs_a_row(kind, changed(lambda row: row.pop(REQUIRED[kind])))
    await costs_a_row(kind, changed(lambda row: row.update({REQUIRED[kind]: None})))


@cell("F30")
async def test_a_word_that_nobody_knows_is_unknown_and_told_as_it_came(kind: str):
    """Timbal has no word for a connector: what is not a truth value there is another shape."""
    if kind == "timbal":
        await costs_a_row(kind, changed(lambda row: row.update(connected="perhaps")))
        return
    async with staged(kind, fault=changed(lambda row: row.update(status="hibernating"))) as stage:
        asked = await stage.ask(EVERY_ROW)
        told = {row["rawStatus"]: row["status"] for row in asked.part(kind)["connectors"]["nodes"]}
        assert told["hibernating"] == "UNKNOWN"
        assert not asked.codes()


@cell("F31")
async def test_a_redirect_is_a_bad_response_and_not_followed(kind: str):
    async with Faultd(JSONResponse({})).listening() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            for place in (
                f"http://127.0.0.1:{elsewhere.port}/{CANARY}",
                "http://169.254.169.254/latest/meta-data/",
                "",
            ):

                async def fault(exchange: Exchange, status: int = status, place: str = place) -> None:
                    await exchange.reply(b"", status, media=None, location=place or exchange.target)

                await suffers(kind, BAD, within_s=QUICK_S, fault=fault)
        assert elsewhere.accepted == 0, "a credential may have been sent elsewhere"
