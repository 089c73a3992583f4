"""Cursors: a place in one list, signed, bound to the list and its arguments, opaque to clients."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from syncgraph.domain.merge import Place, Rank, compacted
from syncgraph.domain.model import Coverage
from syncgraph.errors import CursorMismatchError, InvalidCursorError

VERSION = 1
MAC_BYTES = 12
MAX_BYTES = 1500
"""Of the encoded state: base64 makes 2,000 characters of it. Beyond, what only saves calls is dropped."""


class _State(msgspec.Struct, array_like=True):
    version: int
    bound_to: str
    after: tuple[int, str, str] | None
    count: int
    hints: dict[str, str]
    ended: dict[str, tuple[Coverage, int | None]]
    detached: dict[str, tuple[tuple[int, str, str] | None, str]]


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(_State)


@dataclass(frozen=True, slots=True)
class Cursors:
    """Encodes and decodes the cursors of one gateway; ``secret`` must be the same on all its workers."""

    secret: bytes

    def encode(self, place: Place, list_id: str) -> str:
        raw = _ENCODER.encode(_state(place, list_id))
        if len(raw) > MAX_BYTES:
            raw = _ENCODER.encode(_state(compacted(place), list_id))
        return _pack(self._mac(raw) + raw)

    def decode(self, cursor: str, list_id: str) -> Place:
        """Raises :class:`InvalidCursorError` or :class:`CursorMismatchError`."""
        state = self._state(cursor)
        if state.bound_to != _digest(list_id):
            raise CursorMismatchError(
                "This cursor belongs to another list, or to other arguments of this one."
            )
        return Place(
            after=_rank(state.after),
            count=state.count,
            hints=state.hints,
            ended=state.ended,
            detached=_detached(state.detached),
        )

    def _state(self, cursor: str) -> _State:
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            if _pack(raw) != cursor:
                raise InvalidCursorError("This is not a cursor of this gateway.")
            mac, body = raw[:MAC_BYTES], raw[MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(body)):
                raise InvalidCursorError("This is not a cursor of this gateway.")
            return _DECODER.decode(body)
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise InvalidCursorError("This is not a cursor of this gateway.") from error

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self.secret, body, "sha256")[:MAC_BYTES]


def _state(place: Place, list_id: str) -> _State:
    return _State(
        version=VERSION,
        bound_to=_digest(list_id),
        after=place.after,
        count=place.count,
        hints=dict(place.hints),
        ended=dict(place.ended),
        detached=dict(place.detached),
    )


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _rank(raw: tuple[int, str, str] | None) -> Rank | None:
    return None if raw is None else Rank(*raw)


def _detached(
    raw: Mapping[str, tuple[tuple[int, str, str] | None, str]],
) -> dict[str, tuple[Rank | None, str]]:
    return {source: (_rank(at), code) for source, (at, code) in raw.items()}


def _digest(list_id: str) -> str:
    return hashlib.sha256(list_id.encode()).hexdigest()[:16]
