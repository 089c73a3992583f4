"""Every kind of provider. To add one: docs/providers.md."""

from collections.abc import Mapping
from typing import Any

from syncgraph.providers import airweave, den, outlit, timbal
from syncgraph.upstream.adapter import Adapter

PROVIDERS: Mapping[str, Adapter[Any]] = {
    str(adapter.kind): adapter for adapter in (den.adapter, timbal.adapter, outlit.adapter, airweave.adapter)
}
"""By kind. ``Any``: each adapter takes its own settings, and gets no other's."""
