"""How many retries one provider may cost: a tenth of what succeeds, and a trickle for one that is rarely asked."""

from dataclasses import dataclass

PER_SUCCESS, PER_SECOND = 0.1, 0.1
MOST = 10.0
"""Saved up at the most, so that a storm after a quiet day begins with few."""


@dataclass(slots=True)
class RetryBudget:
    """``at``: an instant of a clock that never goes back."""

    _left: float = MOST
    _at: float | None = None

    def succeeded(self) -> None:
        self._left = min(MOST, self._left + PER_SUCCESS)

    def spend(self, at: float) -> bool:
        """Take one retry; False when none is left."""
        if self._at is not None:
            self._left = min(MOST, self._left + PER_SECOND * (at - self._at))
        self._at = at
        if self._left < 1:
            return False
        self._left -= 1
        return True
