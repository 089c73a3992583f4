import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from syncgraph import errors
from syncgraph.domain.merge import Merge
from syncgraph.errors import INTERNAL, GatewayError, UpstreamError

DOCS = Path(__file__).parents[1] / "docs" / "errors.md"
LINE = re.compile(
    r"(?P<bars>[| ]*)\+- (?P<name>\w+)(?P<attribute> \(\.\w+\))?"
    r"(?: +(?P<code>[A-Z][A-Z_]+) +(?P<retry>yes|no) +(?P<who>the caller|the operator|us|wait)(?: {2,}(?P<why>\S.*))?)?"
)


class Line(NamedTuple):
    """One line of the tree in the docstring."""

    depth: int
    name: str
    code: str | None
    retry: str | None
    who: str | None


def drawn() -> list[Line]:
    lines = (errors.__doc__ or "").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("GatewayError"))
    end = next(n for n, line in enumerate(lines) if line.startswith("anything else"))
    tree = []
    for line in lines[start + 1 : end]:
        match = LINE.fullmatch(line)
        assert match is not None, line
        tree.append(Line(len(match["bars"]) // 3, match["name"], match["code"], match["retry"], match["who"]))
    return tree


def below(kind: type[GatewayError], depth: int = 0) -> Iterator[tuple[int, type[GatewayError]]]:
    """All classes below ``kind`` in the order in which they are written, each with its depth."""
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield depth, child
            yield from below(child, depth + 1)


CLASSES = [kind for _, kind in below(GatewayError)]
CODED = [kind for kind in CLASSES if kind is not UpstreamError]
CODES = [INTERNAL, *(kind.code for kind in CODED)]


def test_the_tree_that_is_drawn_is_the_tree_of_classes():
    assert [(line.depth, line.name) for line in drawn()] == [
        (depth, kind.__name__) for depth, kind in below(GatewayError)
    ]


def test_the_codes_that_are_drawn_are_those_of_the_classes():
    assert {line.name: line.code for line in drawn() if line.code} == {
        kind.__name__: kind.code for kind in CODED
    }


def test_only_the_root_of_upstream_failures_is_drawn_without_a_code():
    assert [line.name for line in drawn() if line.code is None] == ["UpstreamError"]


def test_what_is_drawn_as_worth_a_retry_is_retried():
    retried = {kind.__name__ for kind in CODED if getattr(kind, "retryable", False)}

    assert {line.name for line in drawn() if line.retry == "yes"} == retried
    assert {line.name for line in drawn() if line.who == "wait"} == retried


def test_the_columns_of_the_tree_are_straight():
    lines = [line for line in (errors.__doc__ or "").splitlines() if re.search(r" (yes|no) +", line)]
    header = next(line for line in (errors.__doc__ or "").splitlines() if line.startswith("GatewayError"))

    for column, pattern in (
        ("code", r"[A-Z][A-Z_]+ +(?:yes|no) "),
        ("retry?", r"(?:yes|no) +(?:the|us|wait)"),
    ):
        places = {match.start() for line in lines if (match := re.search(pattern, line))}
        assert places == {header.index(column)}


def test_what_is_not_ours_to_tell_is_internal():
    last = (errors.__doc__ or "").strip().splitlines()[-1]

    assert re.match(rf"anything else +{INTERNAL} +no +us +", last)
    assert GatewayError.code == INTERNAL


def test_no_two_errors_share_a_code():
    assert len(CODES) == len(set(CODES))


def test_every_class_says_its_own_code():
    assert [kind.__name__ for kind in CLASSES if "code" not in vars(kind)] == []


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_written_in_capitals(code):
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_a_line_on_what_it_means(kind):
    assert kind.__doc__
    assert kind.__doc__.splitlines()[0].endswith(".")


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, UpstreamError)])
def test_every_upstream_failure_says_whose_it_is(kind):
    error = kind("no", provider="acme", http_status=503, request_id="r-1")

    assert (str(error), error.provider, error.http_status) == ("no", "acme", 503)
    assert (error.retry_after, error.request_id) == (None, "r-1")


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_documented(code):
    rows = [
        line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{code}` |")
    ]

    assert len(rows) == 1


def test_no_code_is_documented_that_does_not_exist():
    rows = re.findall(r"^\| `([A-Z_]+)` \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert set(rows) == set(CODES)


def test_a_list_that_was_given_up_has_a_code_that_is_documented():
    merge: Merge = Merge(["a"], first=1)
    merge.fail("a", errors.BudgetExceededError.code)

    assert set(merge.detached.values()) <= set(CODES)
