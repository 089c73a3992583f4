"""Bytes to a typed value: strict about JSON itself, and as forgiving about single rows as honesty allows."""

import json
import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

MOST_LEFT_OUT = 20
"""Rows of one answer; one with more is another shape, not one with mistakes."""

_ROW = re.compile(r" - at `\$((?:\.\w+)?)\[(\d+)\][^`]*`\Z")
"""Where msgspec says that a value of another shape is: in a row of the answer, or of one of its fields."""


class NotAsPromised(Exception):  # noqa: N818  # a verdict, which whoever asked gives a name to
    """Not JSON, or JSON of another shape."""


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[T, int]:
    """The value, and how many rows were left out of it since they are not what the contract promises.

    Raises :class:`NotAsPromised`.
    """
    _check(body)
    left_out = 0
    while True:
        try:
            return decoder.decode(body), left_out
        except msgspec.ValidationError as error:
            row = _ROW.search(str(error))
            if row is None or left_out == MOST_LEFT_OUT:
                raise NotAsPromised(str(error)) from error
            body = _without(body, row[1].removeprefix("."), int(row[2]), error)
            left_out += 1
        except (msgspec.MsgspecError, RecursionError) as error:
            raise NotAsPromised(str(error)) from error


def _check(body: bytes) -> None:
    """Refuse what parsers read in different ways: a key twice, NaN, text that is not UTF-8.

    msgspec takes the last of two equal keys, and does not look into what it skips.
    """
    try:
        json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotAsPromised(str(error)) from error


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without(body: bytes, field: str, row: int, error: msgspec.ValidationError) -> bytes:
    answer = msgspec.json.decode(body)
    rows = answer[field] if field else answer
    del rows[row]
    if not rows:
        raise NotAsPromised(str(error)) from error  # an answer without any good row is of another kind
    return msgspec.json.encode(answer)
