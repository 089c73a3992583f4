"""One page of one upstream list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from syncgraph.domain.model import Coverage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in the order of the upstream list: ``ordered_at`` never increases (None counts as oldest).

    ``next``: the adapter's own continuation, None on the last page. Rows may repeat across pages when the upstream
    shifts, so whoever joins pages drops what it has seen; a row is never left out between two pages.
    ``coverage``: what the list can show at all; WINDOW when older rows exist or may exist and cannot be listed.
    """

    items: Sequence[T]
    next: str | None = None
    coverage: Coverage = Coverage.FULL
