"""What a client accepts: the media ranges of RFC 9110, section 12.5.1, and the best of what there is for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"

MAX_RANGES = 50
"""Of one header that are read; browsers send fewer than ten."""

_NAME = re.compile(r"\*/\*|[a-z0-9!#$&^_.+-]+/(?:\*|[a-z0-9!#$&^_.+-]+)")
_QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A type or a range of types, in lower case; ``parameters`` without ``q``."""

    name: str
    parameters: Mapping[str, str]
    quality: float

    @property
    def is_utf8(self) -> bool:
        """As it says, or as is assumed of one that does not say."""
        return self.parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}


def media_types(header: str) -> Sequence[MediaType]:
    """Those that are well formed, in order; others are left out."""
    found = map(_media_type, header.split(",", MAX_RANGES)[:MAX_RANGES])
    return [one for one in found if one is not None]


def best_json(accepted: Sequence[MediaType]) -> str | None:
    """Which of the two to answer in; None: the client takes neither.

    The newer type for those who name it: a client that says nothing, or takes anything, may predate it.
    """
    if not accepted:
        return PLAIN_JSON
    knows = any(one.name == RESPONSE_JSON for one in accepted)
    offers = (RESPONSE_JSON, PLAIN_JSON) if knows else (PLAIN_JSON, RESPONSE_JSON)
    best = max(offers, key=lambda offer: quality_of(offer, accepted))
    return best if quality_of(best, accepted) > 0 else None


def quality_of(offer: str, accepted: Sequence[MediaType]) -> float:
    """What the narrowest range that holds ``offer`` gives it; 0: it is not accepted."""
    for name in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        given = [one.quality for one in accepted if one.name == name and one.is_utf8]
        if given:
            return max(given)
    return 0.0


def _media_type(text: str) -> MediaType | None:
    name, *rest = (part.strip() for part in text.split(";"))
    pairs = [part.partition("=") for part in rest]
    parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
    quality = parameters.pop("q", "1")
    if not _NAME.fullmatch(name.lower()) or not _QUALITY.fullmatch(quality):
        return None
    return MediaType(name.lower(), parameters, float(quality))
