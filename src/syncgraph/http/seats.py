"""How many streams one address may hold open: nobody authenticates yet, so a principal is a peer address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Scope

from syncgraph.errors import TooManySubscriptionsError


class Seats:
    """Sockets and event streams, by peer address."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, scope: Scope) -> Iterator[None]:
        """One seat until the end; raises :class:`TooManySubscriptionsError` when none is free."""
        address = self.take(scope)
        try:
            yield
        finally:
            self.give_back(address)

    def take(self, scope: Scope) -> str:
        """The address, to give the seat back for."""
        address: str = scope["client"][0] if scope.get("client") else ""
        if self._taken[address] >= self._limit:
            raise TooManySubscriptionsError("This address has too many connections for subscriptions open.")
        self._taken[address] += 1
        return address

    def give_back(self, address: str) -> None:
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]
