"""How Den checks what it is asked: 400 with every issue at once, in zod's words."""

from collections.abc import Iterator, Mapping, Sequence

from starlette.datastructures import QueryParams

from syncgraph.providers.den.typeid import ALPHABET

EVENT_ENUMS: Mapping[str, Sequence[str]] = {
    "eventType": ("push", "installation", "installation_repositories", "repository", "manual_resync"),
    "status": ("pending", "queued", "running", "completed", "failed", "partial", "ignored"),
}
INSTANCE_ENUMS: Mapping[str, Sequence[str]] = {
    "connectorType": ("github",),
    "status": ("active", "disabled", "archived", "error"),
}
TARGET_ENUMS: Mapping[str, Sequence[str]] = {"targetKind": ("repository_branch",)}
EVENT_IDS = {"connectorInstanceId": "cin", "connectorTargetId": "ctg"}
MAX_LIMIT, MAX_TEXT, ID_LENGTH = 100, 255, 30

Issue = Mapping[str, object]


class Refused(Exception):  # noqa: N818  # an answer, not a fault
    """An answer other than 200."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def checked(
    query: QueryParams, *, enums: Mapping[str, Sequence[str]], ids: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """The parameters as given; unknown ones are let be."""
    issues = [
        *(issue for name in ("cursor", "q") for value in query.getlist(name) for issue in _text(name, value)),
        *(issue for value in query.getlist("limit") for issue in _limit(value)),
        *(
            issue
            for name, prefix in (ids or {}).items()
            for value in query.getlist(name)
            for issue in id_issues(name, prefix, value)
        ),
        *(issue for name, words in enums.items() for issue in _word(name, words, query.getlist(name))),
    ]
    refuse(issues)
    return dict(query)


def refuse(issues: Sequence[Issue]) -> None:
    if issues:
        raise Refused(400, {"error": "invalid_request", "details": issues})


def id_issues(name: str, prefix: str, value: str) -> Iterator[Issue]:
    has_prefix = value.startswith(f"{prefix}_")
    suffix = value.removeprefix(f"{prefix}_")
    if len(value) != ID_LENGTH:
        size = (
            {"code": "too_small", "minimum": ID_LENGTH}
            if len(value) < ID_LENGTH
            else {"code": "too_big", "maximum": ID_LENGTH}
        )
        message = f"TypeID must be {ID_LENGTH} characters ({prefix}_<26 char suffix>)"
        yield {
            "origin": "string",
            **size,
            "inclusive": True,
            "exact": True,
            "path": [name],
            "message": message,
        }
    if not has_prefix:
        message = f"TypeID must start with '{prefix}_'"
        yield {
            "origin": "string",
            "code": "invalid_format",
            "format": "starts_with",
            "prefix": f"{prefix}_",
            "path": [name],
            "message": message,
        }
    if not has_prefix or set(suffix) - set(ALPHABET):
        yield {
            "code": "custom",
            "path": [name],
            "message": "TypeID suffix contains invalid base32 characters",
        }
    if not has_prefix or len(value) != ID_LENGTH or set(suffix) - set(ALPHABET) or suffix[:1] > "7":
        yield {"code": "custom", "path": [name], "message": "TypeID is structurally invalid"}


def _text(name: str, value: str) -> Iterator[Issue]:
    if not value:
        yield {
            "origin": "string",
            "code": "too_small",
            "minimum": 1,
            "inclusive": True,
            "path": [name],
            "message": "Too small: expected string to have >=1 characters",
        }
    if len(value) > MAX_TEXT:
        yield {
            "origin": "string",
            "code": "too_big",
            "maximum": MAX_TEXT,
            "inclusive": True,
            "path": [name],
            "message": f"Too big: expected string to have <={MAX_TEXT} characters",
        }


def _limit(value: str) -> Iterator[Issue]:
    try:
        limit = int(value)
    except ValueError:
        yield {
            "expected": "number",
            "code": "invalid_type",
            "received": "NaN",
            "path": ["limit"],
            "message": "Invalid input: expected number, received NaN",
        }
        return
    if limit < 1:
        yield {
            "origin": "number",
            "code": "too_small",
            "minimum": 1,
            "inclusive": True,
            "path": ["limit"],
            "message": "Too small: expected number to be >=1",
        }
    if limit > MAX_LIMIT:
        yield {
            "origin": "number",
            "code": "too_big",
            "maximum": MAX_LIMIT,
            "inclusive": True,
            "path": ["limit"],
            "message": f"Too big: expected number to be <={MAX_LIMIT}",
        }


def _word(name: str, words: Sequence[str], given: Sequence[str]) -> Iterator[Issue]:
    """A repeated parameter is a list to zod, and so no word either."""
    if len(given) > 1 or any(word not in words for word in given):
        options = "|".join(f'"{word}"' for word in words)
        message = f"Invalid option: expected one of {options}"
        yield {"code": "invalid_value", "values": list(words), "path": [name], "message": message}
