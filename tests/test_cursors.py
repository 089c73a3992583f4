import base64
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncgraph.domain.merge import NO_TIME, START, Place, Rank
from syncgraph.domain.model import Coverage
from syncgraph.errors import CursorMismatchError, InvalidCursorError
from syncgraph.graph.cursors import Cursors

CURSORS = Cursors(b"0123456789abcdef0123456789abcdef")
LIST = "runs@acme"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

fixed = settings(max_examples=60, deadline=None, derandomize=True)

texts = st.text(st.characters(codec="utf-8"), max_size=40)
ranks = st.builds(Rank, st.integers(-(2**62), NO_TIME), texts, texts)

places = st.builds(
    Place,
    after=st.none() | ranks,
    count=st.integers(0, 10**9),
    hints=st.dictionaries(texts, texts, max_size=3),
    ended=st.dictionaries(
        texts, st.tuples(st.sampled_from(Coverage), st.none() | st.integers(-(2**60), 2**62)), max_size=3
    ),
    detached=st.dictionaries(texts, st.tuples(st.none() | ranks, texts), max_size=3),
)
PLACE = Place(
    after=Rank(-1_763_804_467_000_000, "acme", "cse_01k9"),
    count=20,
    hints={"acme": "cse_01k7", "warehouse/4": "17"},
    ended={"outlit": (Coverage.WINDOW, -1_763_804_467_000_000)},
    detached={"timbal": (Rank(-1_763_804_468_000_000, "acme", "cse_01k8"), "UPSTREAM_TIMEOUT")},
)


@fixed
@given(places, texts)
def test_a_cursor_brings_back_the_place_that_it_was_made_of(place, list_id):
    cursor = CURSORS.encode(place, list_id)

    assert CURSORS.decode(cursor, list_id) == place
    assert set(cursor) <= set(ALPHABET)


def test_the_start_of_a_list_is_a_place_too():
    assert CURSORS.decode(CURSORS.encode(START, LIST), LIST) == START


@fixed
@given(places)
def test_equal_places_have_equal_cursors(place):
    turned = replace(place, hints=dict(reversed(place.hints.items())))

    assert CURSORS.encode(place, LIST) == CURSORS.encode(turned, LIST)


@pytest.mark.parametrize("list_id", ["", "runs@acm", "runs@acme/", "syncs@acme", "runs@acme/1/"])
def test_a_cursor_of_another_list_does_not_match(list_id):
    with pytest.raises(CursorMismatchError) as caught:
        CURSORS.decode(CURSORS.encode(PLACE, LIST), list_id)

    assert caught.value.code == "CURSOR_MISMATCH"


def test_a_cursor_of_another_gateway_is_none_of_ours():
    foreign = Cursors(b"another secret").encode(PLACE, LIST)

    with pytest.raises(InvalidCursorError) as caught:
        CURSORS.decode(foreign, LIST)

    assert caught.value.code == "BAD_CURSOR"


@pytest.mark.parametrize("place", [START, PLACE, replace(PLACE, count=100), replace(PLACE, count=1000)])
def test_every_change_of_one_character_is_noticed(place):
    cursor = CURSORS.encode(place, LIST)
    changed = [
        cursor[:at] + other + cursor[at + 1 :]
        for at, char in enumerate(cursor)
        for other in (*ALPHABET, "+", "/", "=", " ", "\n", "é")
        if other != char
    ]

    assert [one for one in changed if is_accepted(one)] == []


@pytest.mark.parametrize("place", [START, PLACE, replace(PLACE, count=100), replace(PLACE, count=1000)])
def test_a_cursor_with_something_added_or_cut_off_is_noticed(place):
    cursor = CURSORS.encode(place, LIST)
    changed = [
        *(cursor + more for more in ("A", "=", "==", "===", " ", "\n", "AAAA", "\x00")),
        *(more + cursor for more in ("A", "=", " ", "\n", "AAAA")),
        *(cursor[:length] for length in range(len(cursor))),
        cursor * 2,
    ]

    assert [one for one in changed if is_accepted(one)] == []


@fixed
@given(
    st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_garbage_is_no_cursor(text):
    assert not is_accepted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "====",
        "A",
        "AAAA",
        "null",
        "é",
        "\ud800",
        "\x00",
        "𝄞" * 40,
        "A" * 1_000_000,
        "-" * 999_999,
        " ",
    ],
    ids=lambda text: f"{len(text)}-{text[:6]!a}",
)
def test_what_was_never_a_cursor_is_none(text):
    assert not is_accepted(text)


def test_a_body_of_another_shape_is_no_cursor_even_when_signed():
    for body in (
        b"",
        b"null",
        b"[]",
        b"[1]",
        b'["1","",null,0,{},{},{}]',
        b"\xff",
        b'[1,"",null,0,{},{"a":"?"},{}]',
    ):
        signed = base64.urlsafe_b64encode(CURSORS._mac(body) + body).rstrip(b"=").decode()

        assert not is_accepted(signed)


def test_a_cursor_of_sixty_lists_keeps_its_watermark_and_drops_what_only_saves_calls():
    names = [f"airweave-production/4f9f1c3e-7a53-4b52-9c6d-{n:012d}" for n in range(60)]
    crowded = replace(
        PLACE,
        hints={name: f"2026-11-22T09:41:07.{n:06d}Z|250" for n, name in enumerate(names[:50])},
        ended=dict.fromkeys(names[50:], (Coverage.FULL, None)),
    )

    cursor = CURSORS.encode(crowded, LIST)

    assert len(cursor) <= 2100
    assert CURSORS.decode(cursor, LIST) == replace(crowded, hints={}, ended={})


def test_a_cursor_is_small_though_sixty_lists_failed():
    at = Rank(-1_763_804_467_000_000, "airweave-production", "4f9f1c3e-7a53-4b52-9c6d-00000000001a")
    names = [f"airweave-production/4f9f1c3e-7a53-4b52-9c6d-{n:012d}" for n in range(60)]
    broken = Place(after=at, count=20, detached=dict.fromkeys(names, (at, "UPSTREAM_UNAVAILABLE")))

    cursor = CURSORS.encode(broken, LIST)

    assert len(cursor) <= 2100
    assert CURSORS.decode(cursor, LIST).after == at


@fixed
@given(st.integers(0, 40), st.integers(0, 60))
def test_hints_are_kept_as_long_as_there_is_room(length, lists):
    place = Place(after=PLACE.after, count=1, hints={f"acme/{n}": "x" * length for n in range(lists)})

    cursor = CURSORS.encode(place, LIST)

    assert len(cursor) <= 2100
    assert CURSORS.decode(cursor, LIST) in (place, replace(place, hints={}))
    assert lists * (length + 12) > 1300 or CURSORS.decode(cursor, LIST) == place


def test_a_cursor_shows_nothing_of_the_secret():
    assert b"0123456789abcdef" not in base64.urlsafe_b64decode(CURSORS.encode(PLACE, LIST) + "==")


def is_accepted(cursor: str) -> bool:
    try:
        CURSORS.decode(cursor, LIST)
    except InvalidCursorError as error:
        assert error.code == "BAD_CURSOR"  # noqa: PT017  # the question is whether it raises at all
        return False
    return True
