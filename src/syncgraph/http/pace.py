"""How much the process keeps up with, by what it does and how late; and how much was refused."""

import time

BEAT_S = 0.005
"""Between two looks at the clocks."""


class Pace:
    """How many operations may be under way at once.

    Where the time goes to upstreams, hundreds may wait side by side; where the processor is what is short, every further
    one only makes all of them slower. The event loop's thread tells which it is: it works all the time, or its timers come
    late. So ``limit`` falls while it does, and rises while it does not and more is asked for: at once where it has little to
    do, for then those under way only wait, and whoever waits in line waits for nothing.
    """

    FIRST, UP, DOWN = 8, 1.5, 0.75
    """The limit of a process that has not met anybody yet, and its steps."""
    BEATS = 8
    """Between two steps, but for those up where there is little to do."""
    IDLE = 0.5
    """Of the time between two beats."""
    BUSY = 0.9
    """Of the time; a thread that shares its processor with others cannot reach it, but its timers are late."""
    LATE_S = 0.005
    """On the average of the beats."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(self.FIRST, most))
        self.begin(0.0, 0.0)

    @property
    def limit(self) -> int:
        return int(self._limit)

    def begin(self, now_s: float, worked_s: float) -> None:
        """To look, from now on. ``worked_s``: the thread's processor time."""
        self._beats, self._late_s = 0, 0.0
        self._begun = self._looked = now_s, worked_s

    def beat(self, now_s: float, worked_s: float, *, due_s: float, is_short: bool) -> None:
        """``due_s``: when this beat was due. ``is_short``: more is asked for than may begin."""
        late_s = now_s - due_s
        is_idle = worked_s - self._looked[1] < self.IDLE * (now_s - self._looked[0])
        self._beats += 1
        self._late_s += late_s
        self._looked = now_s, worked_s
        if is_short and is_idle and late_s < self.LATE_S:
            self._step(self.UP, now_s, worked_s)
        elif self._beats == self.BEATS:
            is_busy = worked_s - self._begun[1] > self.BUSY * (now_s - self._begun[0])
            is_late = self._late_s > self.BEATS * self.LATE_S
            self._step(self.DOWN if is_busy or is_late else self.UP if is_short else 1.0, now_s, worked_s)

    def _step(self, by: float, now_s: float, worked_s: float) -> None:
        self._limit = min(max(1.0, self._limit * by), float(self._most))
        self.begin(now_s, worked_s)


class Shedding:
    """Whether much of what came in the last one to two spans was refused."""

    SPAN_S = 1.0
    MUCH, AT_LEAST = 0.1, 5
    """A tenth of all requests, and more than a few."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before, self._now = (0, 0), (0, 0)
        """Requests, and those of them that were refused: in the last whole span, and in this one."""

    def count(self, *, refused: bool) -> None:
        self._turn_over()
        self._now = self._now[0] + 1, self._now[1] + refused

    @property
    def is_much(self) -> bool:
        self._turn_over()
        came, refused = (sum(both) for both in zip(self._before, self._now, strict=True))
        return refused >= self.AT_LEAST and refused >= self.MUCH * came

    def _turn_over(self) -> None:
        age = time.monotonic() - self._since
        if age >= self.SPAN_S:
            self._before, self._now = self._now if age < 2 * self.SPAN_S else (0, 0), (0, 0)
            self._since += age
