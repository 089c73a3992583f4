"""What a provider's folder gives to the rest: how to configure it, how to speak to it, what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from syncgraph.config import ProviderSettings
from syncgraph.domain.model import ProviderKind
from syncgraph.ports import Provider
from syncgraph.upstream.answer import Dialect
from syncgraph.upstream.client import Upstream

S = TypeVar("S", bound=ProviderSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter(Generic[S]):
    """One kind of provider.

    ``dialect``: from the settings, once per process. ``bind``: cheap, once per request; its instant is the request's
    ``now``.
    """

    kind: ProviderKind
    settings: type[S]
    dialect: Callable[[S], Dialect]
    bind: Callable[[Upstream, S, datetime], Provider]
