"""Leaves a provider alone while it is broken, and asks it again by one call at a time. Pure: instants are arguments."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from random import random

from syncgraph.domain.provider_health import CircuitState

IN_A_ROW, LEAST, SHARE = 5, 10, 0.5
WINDOW_S = 30.0

SHORTEST_S, LONGEST_S, JITTER = 5.0, 60.0, 0.1
"""Closed to calls for so long: twice the shortest time, so that a short outage is noticed soon, then doubling. A tenth is
left to chance, so that many gateways do not come back at once."""


class Outcome(Enum):
    """How a call ended. ANSWERED: by a refusal (401, 404, 429 ...), which says that the provider is there, and no more."""

    WELL = auto()
    BADLY = auto()
    ANSWERED = auto()
    CANCELLED = auto()


@dataclass(slots=True)
class Breaker:
    """One provider's circuit. ``at``: an instant of a clock that never goes back; ``chance``: 0 to 1.

    It opens after ``in_a_row`` failures, or when half of at least ``least`` failed within ``WINDOW_S``.
    """

    chance: Callable[[], float] = random  # noqa: S311  # spreads calls in time, keeps no secret
    in_a_row: int = IN_A_ROW
    least: int = LEAST
    _outcomes: deque[tuple[float, bool]] = field(default_factory=deque)
    _failures: int = 0
    _run: int = 0
    _opened: int = 0
    _open_until: float | None = None
    _is_probing: bool = False
    _round: int = 0

    def state(self, at: float) -> CircuitState:
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if at < self._open_until else CircuitState.HALF_OPEN

    def is_shut(self, at: float) -> bool:
        """Whether a call would not be admitted now."""
        return self._open_until is not None and (at < self._open_until or self._is_probing)

    def admit(self, at: float) -> int | None:
        """A permit, to be settled; None: do not ask now. While half open there is one at a time."""
        if self.is_shut(at):
            return None
        self._is_probing = self._open_until is not None
        return self._round

    def settle(self, permit: int, outcome: Outcome, at: float) -> None:
        """The end of a call that was admitted before the circuit last changed is old news."""
        if permit != self._round:
            return
        if self._open_until is not None:
            self._probed(outcome, at)
        elif outcome in {Outcome.WELL, Outcome.BADLY}:
            self._count(at, went_well=outcome is Outcome.WELL)

    def wait_s(self, at: float) -> float:
        """Until a call may be admitted again, unless the one that is on its way then fails."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - at)

    def _count(self, at: float, *, went_well: bool) -> None:
        self._outcomes.append((at, went_well))
        self._failures += not went_well
        self._run = 0 if went_well else self._run + 1
        while self._outcomes[0][0] <= at - WINDOW_S:
            self._failures -= not self._outcomes.popleft()[1]
        is_half = len(self._outcomes) >= self.least and self._failures >= SHARE * len(self._outcomes)
        if not went_well and (self._run >= self.in_a_row or is_half):
            self._open(at)

    def _probed(self, outcome: Outcome, at: float) -> None:
        self._is_probing = False
        if outcome is Outcome.BADLY:
            self._open(at)
        elif outcome is not Outcome.CANCELLED:
            self._change()
            self._open_until, self._opened = None, 0

    def _open(self, at: float) -> None:
        self._change()
        doublings = max(0, self._opened - 1)
        base_s = min(SHORTEST_S * 2 ** min(doublings, 10), LONGEST_S / (1 + JITTER))
        self._open_until = at + base_s * (1 + JITTER * self.chance())
        self._opened += 1

    def _change(self) -> None:
        self._round += 1
        self._outcomes.clear()
        self._failures = self._run = 0
