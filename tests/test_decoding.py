from typing import Any, Literal

import msgspec
import pytest

from syncgraph.upstream.decoding import MOST_LEFT_OUT, NotAsPromised, decoded


class Row(msgspec.Struct, rename="camel"):
    row_id: str
    kind: str = ""
    tags: list[int] = []


class Answer(msgspec.Struct, rename="camel"):
    all_rows: list[Row]


ROWS, ANSWER = msgspec.json.Decoder(list[Row]), msgspec.json.Decoder(Answer)


def ids(rows: list[Row]) -> list[str]:
    return [row.row_id for row in rows]


@pytest.mark.parametrize("bad", [b"null", b"3", b"{}", b'{"rowId": 3}', b'{"rowId": "x", "tags": ["y"]}'])  # fmt: skip
def test_a_row_of_another_shape_is_left_out_and_counted(bad):
    good = b'{"rowId": "a", "more": [1]}', b'{"rowId": "b"}'

    rows, left_out = decoded(b"[" + b",".join((good[0], bad, good[1], bad)) + b"]", ROWS)
    assert (ids(rows), left_out) == (["a", "b"], 2)
    answer, left_out = decoded(b'{"allRows": [' + b",".join((bad, *good)) + b"]}", ANSWER)
    assert (ids(answer.all_rows), left_out) == (["a", "b"], 1)


@pytest.mark.parametrize("body", [b"[3]", b"[1, 2]", b'{"allRows": [null]}', b'{"allRows": {}}', b'{"rows": []}', b"{}", b"3"])  # fmt: skip
def test_an_answer_without_any_good_row_is_of_another_kind(body):
    decoder: msgspec.json.Decoder[Any] = ANSWER if body.startswith(b"{") else ROWS
    with pytest.raises(NotAsPromised):
        decoded(body, decoder)


def test_an_empty_list_is_an_answer():
    assert decoded(b"[]", ROWS) == ([], 0)


@pytest.mark.parametrize("bad", [MOST_LEFT_OUT, MOST_LEFT_OUT + 1])
def test_more_than_twenty_bad_rows_are_not_mistakes(bad):
    body = b'[{"rowId": "a"}' + b",3" * bad + b"]"
    if bad == MOST_LEFT_OUT:
        assert decoded(body, ROWS)[1] == MOST_LEFT_OUT
    else:
        with pytest.raises(NotAsPromised):
            decoded(body, ROWS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[] []",
        b"\xef\xbb\xbf[]",
        b'[{"rowId": "\xff"}]',
        b'[{"rowId": "a", "rowId": "b"}]',
        b'[{"rowId": "a", "unread": {"x": 1, "x": 2}}]',
        b'[{"rowId": "a", "unread": NaN}]',
        b'[{"rowId": "a", "unread": -Infinity}]',
        b'[{"rowId": "a", "unread": ' + b"9" * 5000 + b"}]",
        b'[{"rowId": "a", "unread": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b'[{"rowId": "\\ud800"}]',
        b'[{"rowId": "a\tb"}]',
    ],
    ids=lambda body: repr(body)[:50],
)
def test_what_parsers_read_in_different_ways_is_refused(body):
    with pytest.raises(NotAsPromised):
        decoded(body, ROWS)


def test_a_place_that_only_a_value_names_is_no_row():
    rows, left_out = decoded(b'["x", "y - at `$[7]`", "x"]', msgspec.json.Decoder(list[Literal["x"]]))

    assert (rows, left_out) == (["x", "x"], 1)
