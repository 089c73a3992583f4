"""Global ids: opaque to clients, ``Type:provider:external id`` to us."""

import base64
import binascii
from collections.abc import Mapping

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.errors import InvalidIdError

KEYS: Mapping[str, type[ConnectorKey | SyncKey | RunKey]] = {
    "Connector": ConnectorKey,
    "Sync": SyncKey,
    "SyncRun": RunKey,
}
NAMES = {key: name for name, key in KEYS.items()}
MAX_LENGTH = 1024
"""Characters of an id; the longest that a provider gives is far below."""


def encode(key: ConnectorKey | SyncKey | RunKey) -> str:
    return _pack(f"{NAMES[type(key)]}:{key.provider}:{key.id}")


def encode_provider(name: str) -> str:
    return _pack(f"Provider:{name}")


def decode(id: str) -> ConnectorKey | SyncKey | RunKey | str:
    """The key that ``id`` names, or a provider's name; raises :class:`InvalidIdError`."""
    kind, _, rest = _unpack(id).partition(":")
    if kind == "Provider" and rest:
        return rest
    provider, _, external_id = rest.partition(":")
    if kind not in KEYS or not provider or not external_id:
        raise InvalidIdError("This is not an id of this gateway.")
    return KEYS[kind](provider, external_id)


def _pack(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _unpack(id: str) -> str:
    try:
        if len(id) > MAX_LENGTH or not id.isascii():
            raise InvalidIdError("This is not an id of this gateway.")
        text = base64.b64decode(id + "=" * (-len(id) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidIdError("This is not an id of this gateway.") from error
    if _pack(text) != id:
        raise InvalidIdError("This is not an id of this gateway.")
    return text
