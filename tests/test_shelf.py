"""What is kept, for whom, and what must not come back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests import virtual
from tests.gateway import NOW

from syncgraph.upstream.shelf import AT_LEAST_S, OVERHEAD, WEIGHT, Kept, Memory, Shelf
from syncgraph.upstream.store import MAX_VALUE, PREFIX, RedisStore, redis_store

ANY = msgspec.json.Decoder(list[int])
KEEP_S = 300.0


class FakeRedis:
    """A dictionary, which fails or hangs as told."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.px: dict[str, int] = {}
        self.trouble: str | None = None
        self.commands = 0

    async def _command(self) -> None:
        self.commands += 1
        if self.trouble == "hangs":
            await asyncio.Event().wait()
        if self.trouble == "fails":
            raise RedisConnectionError("gone")

    async def get(self, key: str) -> bytes | None:
        await self._command()
        return self.held.get(key)

    async def set(self, key: str, value: bytes, *, px: int) -> None:
        await self._command()
        self.held[key], self.px[key] = value, px

    async def delete(self, key: str) -> None:
        await self._command()
        self.held.pop(key, None)

    async def scan_iter(self, *, match: str, count: int) -> Any:
        for key in list(self.held):
            if key.startswith(match.removesuffix("*")):
                yield key

    async def aclose(self) -> None: ...


def shelf(redis: FakeRedis | None = None, *, owner: bytes = b"a", memory: Memory | None = None) -> Shelf:
    store = None if redis is None else RedisStore(redis)  # type: ignore[arg-type]
    its = Memory(100_000, keep_s=KEEP_S) if memory is None else memory
    return Shelf(owner=owner, memory=its, clock=virtual.now, store=store)


def kept(value: object) -> Kept:
    at = asyncio.get_running_loop().time()
    return Kept(value=value, size=10, at=at, fetched_at=virtual.now(), lives_s=10)


def of_size(size: int) -> Kept:
    return Kept(value=None, size=size, at=0, fetched_at=NOW, lives_s=10)


async def written(its: Shelf) -> None:
    await asyncio.gather(*its._writing)


def test_the_memory_is_bounded_and_what_was_not_asked_for_goes_first():
    async def tell() -> None:  # noqa: RUF029  # the memory goes by the loop's clock
        memory = Memory(3 * OVERHEAD + 3 * WEIGHT * 10)
        for name in "abc":
            memory.put(name, of_size(10))
        memory.get("a")
        memory.put("d", of_size(10))
        memory.put("c", of_size(10_000))

        left = [name for name in "abcd" if memory.get(name) is not None]
        assert left == ["a", "d"], "c was replaced by what is too large to be kept"

    virtual.run(tell())


@pytest.mark.parametrize("lives_s", [10.0, 86_400.0])
def test_the_memory_lets_go_of_what_nobody_may_be_shown_any_more(lives_s: float):
    async def tell() -> None:
        memory = Memory(100_000, keep_s=KEEP_S)
        memory.put("old", replace(kept(1), lives_s=lives_s))
        await asyncio.sleep(lives_s + KEEP_S - 1)
        memory.put("new", kept(2))
        assert len(memory) == 2
        await asyncio.sleep(1)
        assert memory.get("old") is None
        assert len(memory) == 1

    virtual.run(tell())


def test_what_is_only_just_read_stays_though_it_is_old_at_once():
    async def tell() -> None:
        memory = Memory(100_000)
        memory.put("one", replace(kept(1), lives_s=0))
        await asyncio.sleep(AT_LEAST_S - 1)
        assert memory.get("one") is not None

    virtual.run(tell())


def test_a_copy_comes_back_from_the_store_as_old_as_it_is():
    async def tell() -> None:
        redis = FakeRedis()
        one, other = shelf(redis), shelf(redis)
        name = one.name(b"question")
        one.put(name, kept([1]), b"[1]")
        await written(one)
        await asyncio.sleep(7)
        found = await other.find(name, ANY)
        assert found is not None
        assert (found.value, found.at, found.lives_s) == ([1], 0.0, 10)
        assert other.at_hand(name) is found
        assert redis.px[PREFIX + name] == 310_000

    virtual.run(tell())


def test_no_other_credential_finds_it_nor_opens_it():
    async def tell() -> None:
        redis = FakeRedis()
        one, other = shelf(redis), shelf(redis, owner=b"b")
        one.put(one.name(b"question"), kept([1]), b"[1]")
        await written(one)
        assert other.name(b"question") != one.name(b"question")
        redis.held[PREFIX + other.name(b"question")] = redis.held[PREFIX + one.name(b"question")]
        assert await other.find(other.name(b"question"), ANY) is None

    virtual.run(tell())


@pytest.mark.parametrize(
    "what", ["of another shape", "of another version", "from the future", "under another name"]
)
def test_what_cannot_be_trusted_is_not_there(what):
    async def tell() -> None:
        redis = FakeRedis()
        its = shelf(redis)
        name = its.name(b"question")
        copy = kept([1])
        if what == "from the future":
            copy = replace(copy, fetched_at=copy.fetched_at + timedelta(hours=1))
        its.put(name, copy, b'["x"]' if what == "of another shape" else b"[1]")
        await written(its)
        key = PREFIX + name
        if what == "of another version":
            text = msgspec.msgpack.encode({"other": 1})
            redis.held[key] = its._sealed(msgspec.Raw(text))  # type: ignore[arg-type]
        if what == "under another name":
            name = its.name(b"another question")
            redis.held[PREFIX + name] = redis.held[key]
        its.memory.drop(name)
        assert await its.find(name, ANY) is None

    virtual.run(tell())


@pytest.mark.parametrize("forgotten", ["one", "all"])
def test_what_was_asked_for_before_a_refusal_does_not_come_back(forgotten):
    async def tell() -> None:
        redis = FakeRedis()
        its = shelf(redis)
        name = its.name(b"question")
        old = kept([1])
        its.put(name, old, b"[1]")
        await written(its)
        again = dict(redis.held)
        await asyncio.sleep(1)
        if forgotten == "one":
            its.forget(name)
        else:
            its.forget_all()
            its.forget_all()
        await written(its)
        assert redis.held == {}
        redis.held = again
        assert await its.find(name, ANY) is None
        its.put(name, old, b"[1]")
        assert its.at_hand(name) is None
        await asyncio.sleep(1)
        its.put(name, kept([2]), b"[2]")
        found = its.at_hand(name)
        assert found is not None
        assert found.value == [2]

    virtual.run(tell())


def test_closing_stops_what_is_still_written():
    async def tell() -> None:
        redis = FakeRedis()
        redis.trouble = "hangs"
        its = shelf(redis)
        its.put(its.name(b"question"), kept([1]), b"[1]")
        await asyncio.sleep(0.01)
        assert len(its._writing) == 1
        await its.aclose()
        assert its._writing == set()

    virtual.run(tell())


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_a_store_in_trouble_raises_nothing_and_is_left_alone_after_five_failures(trouble):
    async def tell() -> None:
        redis = FakeRedis()
        redis.trouble = trouble
        store = RedisStore(redis)  # type: ignore[arg-type]
        for _ in range(20):
            assert await store.get("a") is None
            await store.put("a", b"x", 1)
        assert redis.commands == 5
        assert asyncio.get_running_loop().time() < 1
        await asyncio.sleep(10)
        redis.trouble = None
        await store.put("a", b"x", 1)
        assert await store.get("a") == b"x"
        await store.put("b", b"x" * (MAX_VALUE + 1), 1)
        assert await store.get("b") is None
        await store.drop_all("a")
        assert redis.held == {}
        await store.aclose()

    virtual.run(tell())


async def test_a_redis_that_is_not_there_is_only_found_out_when_it_is_asked():
    store = redis_store("redis://127.0.0.1:1/0")

    assert await store.get("a") is None
    await store.aclose()
