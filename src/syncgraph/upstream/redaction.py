"""Known secrets never get further than the door: they are removed from an answer's bytes before it is decoded."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

_PERCENT = re.compile(r"%[0-9A-F]{2}")
MIN_LENGTH = 6
"""A shorter secret would blank out ordinary words; the configuration's providers issue none."""


def redactor(secrets: Iterable[str]) -> Callable[[bytes], bytes]:
    """A function that replaces every secret, in the forms it may come back in, by ``***``."""
    forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in _forms(secret)}
    if not forms:
        return lambda body: body
    pattern = re.compile(b"|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda body: pattern.sub(b"***", body)


def _forms(secret: str) -> Iterable[bytes]:
    raw = secret.encode()
    yield raw
    for as_json in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield as_json.encode()
        yield as_json.replace("/", r"\/").encode()
    for as_url in (quote(secret, safe=""), quote(secret)):
        yield as_url.encode()
        yield _PERCENT.sub(lambda escape: escape[0].lower(), as_url).encode()
    yield base64.b64encode(raw).rstrip(b"=")
    yield base64.urlsafe_b64encode(raw).rstrip(b"=")
