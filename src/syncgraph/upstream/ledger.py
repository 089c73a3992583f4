"""How often one credential may still ask: its own calls counted, and what the provider says of the rest. Pure."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

USED = 0.8
"""Of a limit, at the most: what else uses the credential, and clocks that differ, need room."""

RESERVED = 0.3
"""Of what may be used, kept for calls that somebody waits for."""

UNLIMITED = 5_000
"""A limit of so many is none: Airweave says 9,999 where there is none."""

PROBED_S = 1.0
"""How long the one call after a rest may take to be answered, as a guess for those behind it."""


@dataclass(slots=True)
class Ledger:
    """Over a window that slides with time. ``at``: an instant of a clock that never goes back.

    ``configured``: calls per window that an operator allows. ``replicas``: gateways that share the credential, each of
    which takes its share. ``window_s``: over which the provider counts; a call counts from its start until a window
    after its end, so that it cannot be forgotten here before the provider has forgotten it.
    """

    configured: int | None = None
    window_s: float = 60.0
    replicas: int = 1
    _told: int | None = None
    _under_way: int = 0
    _ended: deque[float] = field(default_factory=deque)
    _others: int = 0
    _others_until: float = -math.inf
    _rest_until: float = -math.inf
    _is_doubted: bool = False

    @property
    def capacity(self) -> int | None:
        """Calls in one window; None: no limit is known."""
        limits = [limit for limit in (self.configured, self._told) if limit is not None]
        return max(1, int(min(limits) * USED / self.replicas)) if limits else None

    def wait_s(self, at: float, *, ahead: int = 0, is_background: bool = False) -> float:
        """Until a call may begin that has ``ahead`` others before it; 0: now."""
        resting_s = max(0.0, self._rest_until - at)
        is_probed = self._is_doubted and (self._under_way or ahead)
        if not resting_s and is_probed:
            return PROBED_S
        free = self._free(at, is_background=is_background)
        if free is None or ahead < free:
            return resting_s
        return max(resting_s, self._freed_s(ahead - free, at))

    def begin(self) -> None:
        self._under_way += 1

    def end(self, at: float, *, began: float, was_answered: bool) -> None:
        """``was_answered``: by the provider, other than that it was asked too often.

        Only a call that began after the rest tells that it is over.
        """
        self._under_way -= 1
        self._ended.append(at)
        self._forget(at)
        if was_answered and began >= self._rest_until:
            self._is_doubted = False

    def give_back(self) -> None:
        """It began, and was not made after all."""
        self._under_way -= 1

    def told(self, limit: int | None, remaining: int | None, at: float) -> None:
        """What an answer's headers say. Others' calls are what the provider counts beyond ours; fewer are not believed."""
        if limit is None or limit <= 0:
            return
        self._told = limit if limit < UNLIMITED else None
        if self._told is None or remaining is None:
            return
        others = limit - remaining - self._ours(at)
        if others > 0 and others >= self._known_others(at):
            self._others, self._others_until = others, at + self.window_s

    def remaining(self, at: float) -> int | None:
        """Calls that may begin now; None: no limit is known."""
        free = self._free(at, is_background=False)
        return 0 if self._rest_until > at else free and max(0, free)

    def rest(self, until: float) -> None:
        """Nothing begins before ``until``; then one call first, whose answer tells whether more may follow, and what is left."""
        self._rest_until = max(self._rest_until, until)
        self._others_until = min(self._others_until, self._rest_until)
        self._is_doubted = True

    def _free(self, at: float, *, is_background: bool) -> int | None:
        """Less than 0 where more were made than may be."""
        capacity = self.capacity
        if capacity is None:
            return None
        usable = math.floor(capacity * (1 - RESERVED)) if is_background else capacity
        return usable - self._ours(at) - self._known_others(at)

    def _ours(self, at: float) -> int:
        self._forget(at)
        return self._under_way + len(self._ended)

    def _forget(self, at: float) -> None:
        while self._ended and self._ended[0] <= at - self.window_s:
            self._ended.popleft()

    def _known_others(self, at: float) -> int:
        return self._others if at < self._others_until else 0

    def _freed_s(self, place: int, at: float) -> float:
        """Until ``place`` + 1 of the calls that count now are forgotten; a window where that cannot be told."""
        forgotten: Sequence[float] = sorted(
            [end + self.window_s for end in self._ended] + [self._others_until] * self._known_others(at)
        )
        return max(0.0, forgotten[place] - at) if place < len(forgotten) else self.window_s
