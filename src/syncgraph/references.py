"""What a setting refers to: a secret, an address, a file."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError


def _resolve(reference: object) -> object:
    """The secret that ``env:NAME`` or ``file:/path`` refers to; the sandboxes' own come resolved."""
    if isinstance(reference, SecretStr):
        return reference
    kind, _, place = str(reference).partition(":")
    if not isinstance(reference, str) or kind not in {"env", "file"} or not place:
        raise PydanticCustomError("secret", "write env:NAME or file:/path, never the secret itself")
    if kind == "env":
        value = os.environ.get(place, "")
    else:
        try:
            value = Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise PydanticCustomError("secret", "the file {path} cannot be read", {"path": place}) from None
    if not value.strip():
        raise PydanticCustomError("secret", "{reference} is not set or empty", {"reference": reference})
    return value.strip()


Secret = Annotated[
    SecretStr,
    BeforeValidator(_resolve, json_schema_input_type=Annotated[str, Field(pattern="^(env|file):.+")]),
]
"""A secret by reference: ``env:NAME`` or ``file:/path``. Its repr is ``**********``."""


def _address(value: str) -> str:
    """An address of an API: no user, since the credential has its own key."""
    url = _split(value)
    if url is None or url.username or url.password or url.query or url.fragment:
        raise PydanticCustomError("address", "write https://host, without user, query or fragment")
    return value


Address = Annotated[str, AfterValidator(_address)]
"""Of a provider's API."""


def _proxy(value: str) -> str:
    if _split(value) is None:
        raise PydanticCustomError("address", "write http://host:port")
    return value


Proxy = Annotated[str, AfterValidator(_proxy)]


def _file(value: Path) -> Path:
    if not value.is_file():
        raise PydanticCustomError("file", "no such file")
    return value


File = Annotated[Path, AfterValidator(_file)]


def _paths(value: object) -> object:
    """A list, or as the environment has several paths."""
    return value.split(os.pathsep) if isinstance(value, str) else value


Files = Annotated[tuple[File, ...], BeforeValidator(_paths, json_schema_input_type=list[str])]


def _split(address: str) -> SplitResult | None:
    """None when it is not an HTTP address with a host and, where it has one, a port that there is."""
    try:
        url = urlsplit(address)
        is_good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        return None
    return url if is_good else None
