"""How long one request waits for one provider: all its reads together, but not the time in which it waits for others."""

from dataclasses import dataclass

SHARE = 0.8
"""Of the operation's time, unless configured: what one provider's silence leaves is enough to ask the others on."""


@dataclass(slots=True)
class Slice:
    """``ends``: the operation's own deadline; instants are on the event loop's clock."""

    length_s: float
    ends: float
    _spent_s: float = 0.0
    _since: float = 0.0
    _waiting: int = 0

    def begin(self, at: float) -> float:
        """Until when a read that begins now is waited for."""
        if not self._waiting:
            self._since = at
        self._waiting += 1
        return min(self.ends, self._since + self.length_s - self._spent_s)

    def end(self, at: float) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._spent_s += at - self._since
