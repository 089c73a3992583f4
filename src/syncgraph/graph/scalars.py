"""The scalars beyond GraphQL's own."""

from datetime import UTC, datetime
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from syncgraph.domain.details import Json
from syncgraph.errors import IntegerOverflowError

MAX_SAFE_INTEGER = 2**53 - 1
"""Beyond, JSON clients that keep numbers as doubles would round."""

BigInt = NewType("BigInt", int)
URL = NewType("URL", str)
JSON = NewType("JSON", object)


def _write_instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_instant(value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise GraphQLError("DateTime: write an RFC 3339 instant with its zone, as 2026-11-22T09:41:07Z.")
    return instant.astimezone(UTC)


def _write_integer(value: int) -> int:
    if abs(value) > MAX_SAFE_INTEGER:
        raise IntegerOverflowError("The number is beyond 2^53-1 and would be rounded.")
    return value


def _read_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError("BigInt: write a whole number.")
    return _write_integer(value)


def _write_json(value: Json) -> Json:
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339 instant, always UTC on output.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=_write_instant,
        parse_value=_read_instant,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description=(
            "Integer beyond 32 bits, as a JSON number. Exact: a value beyond 2^53-1 is null with an INTEGER_OVERFLOW "
            "error, never rounded."
        ),
        serialize=_write_integer,
        parse_value=_read_integer,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Raw provider JSON, after redaction.",
        serialize=_write_json,
        parse_value=_write_json,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="An address as RFC 3986 says.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3986",
        serialize=str,
        parse_value=str,
    ),
}
