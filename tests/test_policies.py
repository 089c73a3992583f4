"""The upstream policies against small models of them, whatever happens in whatever order, in virtual time.

``make test-deep`` takes more than 10,000 steps at each; hypothesis prints what reproduces a failure.
"""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.virtual import VirtualLoop

from syncgraph.domain.provider_health import CircuitState
from syncgraph.errors import UpstreamError
from syncgraph.upstream.account import Account, Patience
from syncgraph.upstream.answer import Dialect
from syncgraph.upstream.breaker import Breaker, Outcome
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.flights import Flight, Flights
from syncgraph.upstream.ledger import Ledger
from syncgraph.upstream.shelf import Memory
from syncgraph.upstream.slice import Slice
from syncgraph.upstream.turns import Lane, NoTurn, Turns

EXAMPLES = int(os.environ.get("SYNCGRAPH_EXAMPLES", "200"))
STEPS = 50
deep = settings(
    max_examples=max(10, EXAMPLES // 18),
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=EXAMPLES <= 200,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
PASSING_S = st.sampled_from([0.0, 0.001, 0.5, 1.0, 5.0, 7.3, 29.9, 30.0, 60.0, 65.0, 400.0])
PICK = st.integers(0, 2**16)


def pick(of: list[Any], number: int) -> Any:
    return of[number % len(of)]


class BreakerMachine(RuleBasedStateMachine):
    """The model looks at everything that was settled since the circuit last changed."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.breaker = Breaker(chance=lambda: 0.5)
        self.round = 0
        self.permits: list[tuple[int, int]] = []
        self.settled: list[tuple[float, bool]] = []
        self.open_until: float | None = None

    @rule(passing_s=PASSING_S)
    def time_passes(self, passing_s):
        self.at += passing_s

    @rule()
    def ask(self):
        probing = [permit for permit, its in self.permits if its == self.round]
        may = self.open_until is None or (self.at >= self.open_until and not probing)
        assert self.breaker.is_shut(self.at) != may
        permit = self.breaker.admit(self.at)
        assert (permit is not None) == may
        if permit is not None:
            self.permits.append((permit, self.round))

    @precondition(lambda self: self.permits)
    @rule(which=PICK, outcome=st.sampled_from(list(Outcome)))
    def settle(self, which, outcome):
        permit, its = self.permits.pop(which % len(self.permits))
        self.breaker.settle(permit, outcome, self.at)
        if its != self.round:
            return
        if self.open_until is not None:
            self._probed(outcome)
        elif outcome in {Outcome.WELL, Outcome.BADLY}:
            self.settled.append((self.at, outcome is Outcome.WELL))
            self._open_if_broken()

    @rule(calls=st.integers(1, 6))
    def break_down(self, calls):
        for _ in range(calls):
            self.ask()
            if self.permits:
                self.settle(len(self.permits) - 1, Outcome.BADLY)

    def _probed(self, outcome):
        if outcome is Outcome.BADLY:
            self._change(self.at + self.breaker.wait_s(self.at))
        elif outcome is not Outcome.CANCELLED:
            self._change(None)

    def _open_if_broken(self):
        row = [well for _, well in self.settled][-5:]
        window = [well for at, well in self.settled if at > self.at - 30]
        in_a_row = len(row) == 5 and not any(row)
        half = len(window) >= 10 and 2 * window.count(False) >= len(window) and not window[-1]
        if in_a_row or half:
            self._change(self.at + self.breaker.wait_s(self.at))

    def _change(self, open_until):
        self.round += 1
        self.settled = []
        self.open_until = open_until
        if open_until is not None:
            assert 5.0 <= open_until - self.at <= 60.0

    @invariant()
    def agrees(self):
        expected = CircuitState.CLOSED
        if self.open_until is not None:
            expected = CircuitState.OPEN if self.at < self.open_until else CircuitState.HALF_OPEN
        assert self.breaker.state(self.at) is expected

    @invariant()
    def one_probe_at_most(self):
        if self.open_until is not None:
            assert sum(its == self.round for _, its in self.permits) <= 1


class InVirtualTime(RuleBasedStateMachine):
    """Steps of an event loop, as far as they go without time passing."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.heard: list[Any] = []
        self.loop.set_exception_handler(lambda _, context: self.heard.append(context))

    @property
    def at(self) -> float:
        return self.loop.time()

    def settle(self, passing_s: float = 0.0) -> None:
        async def steps() -> None:
            await asyncio.sleep(passing_s)
            for _ in range(30):
                await asyncio.sleep(0)

        self.loop.run_until_complete(steps())

    def teardown(self) -> None:
        self.settle()
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert (left, self.heard) == (set(), [])


LIMIT, CAPACITY, WINDOW_S = 10, 8, 60.0


@dataclass(eq=False)
class Call:
    """One that asked for its turn."""

    lane: Lane
    came: float
    patience_s: float
    done: asyncio.Event = field(default_factory=asyncio.Event)
    was_answered: bool = True
    is_made: bool = True
    began: float | None = None
    ended: float | None = None
    none: NoTurn | None = None
    task: asyncio.Task[None] = field(init=False)


class TurnsMachine(InVirtualTime):
    """What a provider that counts calls would see of a queue at its limit."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns(Ledger(configured=LIMIT))
        self.calls: list[Call] = []
        self.order: list[Call] = []
        self.rest_until = -1.0
        self.is_doubted = False

    @property
    def under_way(self) -> list[Call]:
        return [call for call in self.order if call.ended is None]

    @rule(passing_s=PASSING_S)
    def time_passes(self, passing_s):
        self.settle(passing_s)

    @rule(
        lane=st.sampled_from(list(Lane)),
        patience_s=st.sampled_from([0.0, 1.0, 100.0, 1000.0]),
        count=st.sampled_from([1, 1, CAPACITY]),
    )
    def come(self, lane, patience_s, count):
        for _ in range(count):
            call = Call(lane, self.at, patience_s)
            self.calls.append(call)
            call.task = self.loop.create_task(self._call(call))
        self.settle()

    @rule()
    def all_end(self):
        for call in self.under_way:
            call.done.set()
        self.settle()

    async def _call(self, call):
        try:
            async with self.turns.turn(call.lane, patience_s=call.patience_s) as turn:
                assert self.at >= self.rest_until, "nothing begins in a rest"
                alone = not [other for other in self.under_way if other.began is not None]
                assert alone or not self.is_doubted, "one alone asks whether the rest is over"
                self._is_in_order(call)
                call.began = turn.began = self.at
                self.order.append(call)
                try:
                    await call.done.wait()
                finally:
                    call.ended = self.at
                turn.was_answered = call.was_answered
                if call.was_answered and call.began >= self.rest_until:
                    self.is_doubted = False
                if not call.is_made:
                    turn.began = None
                    self.order.remove(call)
        except NoTurn as none:
            call.none = none

    def _is_in_order(self, call):
        for other in self.calls:
            waits = other.began is None and not other.task.done() and not other.task.cancelling()
            before = (other.lane, self.calls.index(other)) < (call.lane, self.calls.index(call))
            assert not (waits and before), "who came first, or is more urgent, goes first"

    @precondition(lambda self: self.under_way)
    @rule(which=PICK, was_answered=st.booleans(), is_made=st.sampled_from([True, True, True, False]))
    def end(self, which, was_answered, is_made):
        call = pick(self.under_way, which)
        call.was_answered, call.is_made = was_answered and is_made, is_made
        call.done.set()
        self.settle()

    @precondition(lambda self: self.calls)
    @rule(which=PICK, is_soon=st.booleans())
    def cancel(self, which, is_soon):
        """Also in the very step in which it might be let in."""
        pick(self.calls, which).task.cancel()
        if not is_soon:
            self.settle()

    @rule(rest_s=st.sampled_from([0.0, 5.0, 65.0]))
    def is_told_to_rest(self, rest_s):
        self.turns.ledger.rest(self.at + rest_s)
        self.rest_until = max(self.rest_until, self.at + rest_s)
        self.is_doubted = True

    @invariant()
    def no_window_has_more_calls_than_the_capacity(self):
        """At whichever instant of a call the provider counts it."""
        began = [call.began or 0.0 for call in self.order]
        ended = [self.at if call.ended is None else call.ended for call in self.order]
        for at in (sorted(began), sorted(ended)):
            for first, last in zip(at, at[CAPACITY:], strict=False):
                assert last - first >= WINDOW_S - 1e-6

    def teardown(self):
        self.settle()
        for _ in range(2000):
            for call in self.under_way:
                call.done.set()
            self.settle(10.0)
            if all(call.task.done() for call in self.calls):
                break
        assert all(call.task.done() for call in self.calls), "everybody has a turn in the end"
        for call in self.calls:
            assert call.task.cancelled() or call.task.exception() is None
            assert call.none is None or (call.began is None and call.none.wait_s > call.patience_s)
        assert self.turns.ledger._under_way == 0
        super().teardown()


@dataclass(eq=False)
class Waiter:
    """One who asked for a key; ``flight``: what ``start`` gave it, None until it is known."""

    key: int
    task: asyncio.Task[int] = field(init=False)


class FlightsMachine(InVirtualTime):
    """Every waiter is answered exactly once, by a read of its key."""

    def __init__(self) -> None:
        super().__init__()
        self.flights: Flights[int] = Flights()
        self.waiters: list[Waiter] = []
        self.reads: list[tuple[int, asyncio.Future[int]]] = []
        self.stopped = 0

    @property
    def waiting(self) -> list[Waiter]:
        return [waiter for waiter in self.waiters if not waiter.task.done() and not waiter.task.cancelling()]

    @property
    def under_way(self) -> list[tuple[int, asyncio.Future[int]]]:
        return [read for read in self.reads if not read[1].done()]

    @rule(key=st.integers(0, 2), is_soon=st.booleans())
    def come(self, key, is_soon):
        async def start(flight: Flight) -> int:
            end: asyncio.Future[int] = self.loop.create_future()
            self.reads.append((key, end))
            return await end

        waiter = Waiter(key)
        waiter.task = self.loop.create_task(self.flights.join(key, start, self.at + 10))
        self.waiters.append(waiter)
        if not is_soon:
            self.settle()

    @precondition(lambda self: self.under_way)
    @rule(which=PICK, fails=st.booleans(), is_soon=st.booleans())
    def end(self, which, fails, is_soon):
        key, end = pick(self.under_way, which)
        if fails:
            end.set_exception(KeyError(key))
        else:
            end.set_result(key)
        if not is_soon:
            self.settle()

    @precondition(lambda self: self.waiters)
    @rule(which=PICK, is_soon=st.booleans())
    def leave(self, which, is_soon):
        pick(self.waiters, which).task.cancel()
        if not is_soon:
            self.settle()

    @rule()
    def settled(self):
        self.settle()
        keys = Counter(waiter.key for waiter in self.waiting)
        reads = Counter(key for key, _ in self.under_way)
        assert set(keys) == set(reads), "what nobody waits for is stopped, what somebody waits for is read"
        assert set(reads.values()) <= {1}, "equal reads under way are one"
        assert len(self.flights._flights) == len(reads)

    def teardown(self):
        self.settled()
        while self.under_way:
            self.end(0, fails=False, is_soon=False)
        for waiter in self.waiters:
            assert waiter.task.done()
            error = None if waiter.task.cancelled() else waiter.task.exception()
            if isinstance(error, KeyError):
                assert error.args == (waiter.key,)
            elif not waiter.task.cancelled():
                assert waiter.task.result() == waiter.key
        super().teardown()


LIVES_S, REVALIDATE_S, ERROR_S, ATTEMPT_S, WITHIN_S = 10.0, 10.0, 300.0, 2.0, 5.0


class Said(msgspec.Struct):
    """What an upstream says: to whom, of what, and when it was asked."""

    who: str
    path: str
    asked: float


SAID = msgspec.json.Decoder(Said)


class Lossy:
    """A store that loses values, mixes them up and cuts them off, as told."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.lies: str | None = None

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        if self.lies == "mixes up":
            return next((value for other, value in self.held.items() if other != key), None)
        value = self.held.get(key)
        if self.lies == "cuts off" and value is not None:
            return value[:-1]
        if self.lies == "flips a bit" and value is not None:
            return value[:-3] + bytes([value[-3] ^ 1]) + value[-2:]
        return None if self.lies == "loses" else value

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        await asyncio.sleep(0)
        self.held[key] = value

    async def drop(self, key: str) -> None:
        await asyncio.sleep(0)
        self.held.pop(key, None)

    async def drop_all(self, beginning: str) -> None:
        await asyncio.sleep(0)
        self.held = {key: value for key, value in self.held.items() if not key.startswith(beginning)}

    async def aclose(self) -> None: ...


@dataclass(eq=False)
class Exchange:
    who: str
    path: str
    asked: float
    end: asyncio.Future[int]


@dataclass(eq=False)
class Ask:
    who: str
    path: str
    came: float
    max_age_s: float | None
    task: asyncio.Task[tuple[Said, Upstream, float]] = field(init=False)


class Provider(httpx2.AsyncBaseTransport):
    """Answers each exchange when it is told to."""

    def __init__(self, machine: "CacheMachine", who: str) -> None:
        self.machine = machine
        self.who = who

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        loop = self.machine.loop
        exchange = Exchange(self.who, request.url.path, loop.time(), loop.create_future())
        self.machine.exchanges.append(exchange)
        status = await exchange.end
        said = Said(self.who, exchange.path, exchange.asked)
        headers = {"content-type": "application/json", **({"retry-after": "3"} if status == 429 else {})}
        return httpx2.Response(status, headers=headers, content=msgspec.json.encode(said))


class CacheMachine(InVirtualTime):
    """Three credentials at one provider, one memory and one store for all, and answers that may be refused any time."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.store = Memory(5000, keep_s=ERROR_S), Lossy()
        self.exchanges: list[Exchange] = []
        self.asks: list[Ask] = []
        self.checked: set[Ask] = set()
        self.refused: dict[tuple[str, str], float] = {}
        self.accounts = {who: self._account(who) for who in "abc"}

    def _account(self, who):
        return Account(
            name="acme",
            base_url="http://acme.test",
            transport=Provider(self, who),
            dialect=Dialect(headers={"authorization": who}, gone_hint="Gone."),
            patience=Patience(
                attempt_s=ATTEMPT_S, stale_while_revalidate_s=REVALIDATE_S, stale_if_error_s=ERROR_S
            ),
            redact=lambda body: body,
            clock=self.loop.now,
            breaker=Breaker(chance=lambda: 0.5),
            memory=self.memory,
            store=self.store,
        )

    @property
    def under_way(self):
        return [exchange for exchange in self.exchanges if not exchange.end.done()]

    @rule(
        who=st.sampled_from("abc"),
        path=st.sampled_from(["/x", "/y"]),
        max_age_s=st.sampled_from([None, None, None, 0.0, 3.0]),
        is_background=st.sampled_from([False, False, True]),
        is_soon=st.booleans(),
    )
    def come(self, who, path, max_age_s, is_background, is_soon):
        ask = Ask(who, path, self.at, max_age_s)
        ask.task = self.loop.create_task(self._ask(ask, is_background))
        self.asks.append(ask)
        if not is_soon:
            self.settle()

    async def _ask(self, ask, is_background):
        upstream = Upstream(
            self.accounts[ask.who],
            time=Slice(WITHIN_S, self.at + WITHIN_S),
            now=self.loop.now(),
            max_age_s=ask.max_age_s,
            is_background=is_background,
        )
        try:
            value = await upstream.get(ask.path, SAID, lives=LIVES_S)
            return value, upstream, self.at
        finally:
            await upstream.close()

    @precondition(lambda self: self.under_way)
    @rule(which=PICK, status=st.sampled_from([200] * 6 + [401, 403, 404, 429, 500]))
    def answer(self, which, status):
        exchange = pick(self.under_way, which)
        exchange.end.set_result(status)
        self.settle()
        if status in {401, 403, 404}:
            paths = ["/x", "/y"] if status == 401 else [exchange.path]
            self.refused |= {(exchange.who, path): self.at for path in paths}

    @precondition(lambda self: self.asks)
    @rule(which=PICK, is_soon=st.booleans())
    def leave(self, which, is_soon):
        pick(self.asks, which).task.cancel()
        if not is_soon:
            self.settle()

    @rule(passing_s=PASSING_S)
    def time_passes(self, passing_s):
        self.settle(passing_s)

    @rule(lies=st.sampled_from([None, None, "loses", "mixes up", "cuts off", "flips a bit"]))
    def store_changes(self, lies):
        self.store.lies = lies

    @rule()
    def memory_is_lost(self):
        """As when another gateway, which shares the store, is asked."""
        self.memory._kept.clear()

    @invariant()
    def every_answer_is_right(self):
        for ask in self.asks:
            if ask.task.done() and ask not in self.checked:
                self.checked.add(ask)
                if not ask.task.cancelled():
                    self._check(ask)

    def _check(self, ask):
        error = ask.task.exception()
        if error is not None:
            assert isinstance(error, UpstreamError)
            return
        value, upstream, ended = ask.task.result()
        assert (value.who, value.path) == (ask.who, ask.path), "no value under another's name"
        refused = self.refused.get((ask.who, ask.path))
        if refused is not None and refused < ask.came:
            assert value.asked > refused, "nothing is shown after a refusal"
        used = upstream.used
        assert abs((used.fetched_at - self.loop.now()).total_seconds() - (value.asked - self.at)) < 1e-3
        wanted_s = LIVES_S if ask.max_age_s is None else ask.max_age_s
        bound_s = LIVES_S + ERROR_S if used.is_stale else max(wanted_s, WITHIN_S)
        assert ended - value.asked <= bound_s + 1e-6, "no answer is older than it says"

    @invariant()
    def equal_reads_are_one(self):
        """But for a refresh, for background work, and for those who came after a refusal."""
        for (who, path), count in Counter((one.who, one.path) for one in self.under_way).items():
            assert count <= 3 or (who, path) in self.refused

    def teardown(self):
        self.settle(WITHIN_S + 1)
        assert all(ask.task.done() for ask in self.asks), "everybody is answered"
        self.every_answer_is_right()
        self.settle(4000.0)
        assert self.under_way == []
        for account in self.accounts.values():
            self.loop.run_until_complete(account.aclose())
            assert (account.flights._flights, account._refreshes) == ({}, {})
        super().teardown()


def machine(its: type[RuleBasedStateMachine]) -> Any:
    its.TestCase.settings = deep
    return its.TestCase


TestBreaker = machine(BreakerMachine)
TestTurns = machine(TurnsMachine)
TestFlights = machine(FlightsMachine)
TestCache = machine(CacheMachine)
