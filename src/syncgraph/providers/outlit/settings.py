"""What the configuration says of one Outlit account. The key implies the organisation."""

from typing import Literal

from syncgraph.config import ProviderSettings
from syncgraph.references import Address

SEED: Literal["integrations"] = "integrations"
"""REST ``/api/integrations*``, published until 2026-07-29: connections and the status of each model."""

TODAY: Literal["tool-gateway"] = "tool-gateway"
"""``POST /api/tools/call``, since 2026-08-09: whether an integration is ready, and nothing about syncs."""


class Settings(ProviderSettings):
    """``[providers.<name>]`` with ``kind = "outlit"``."""

    kind: Literal["outlit"]
    contract: Literal["integrations", "tool-gateway"] = SEED
    base_url: Address = "https://app.outlit.ai"
