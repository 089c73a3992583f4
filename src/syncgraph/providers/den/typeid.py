"""Den's ids: TypeIDs, a prefix and 26 Crockford base32 characters that hold a UUIDv7."""

import re
from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
EVENT, INSTANCE, TARGET = (
    re.compile(rf"{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}", re.ASCII) for prefix in ("cse", "cin", "ctg")
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGIT = {character: value for value, character in enumerate(ALPHABET)}
_TIME_SHIFT = 80
"""Bits of a UUIDv7 below its 48 bits of milliseconds."""


def created_at(id: str) -> datetime | None:
    """The instant within an event's id, which survives a retry; None when it is not such an id."""
    if EVENT.fullmatch(id) is None:
        return None
    number = 0
    for character in id[-26:]:
        number = number << 5 | _DIGIT[character]
    try:
        return _EPOCH + timedelta(milliseconds=number >> _TIME_SHIFT)
    except OverflowError:
        return None
