import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.errors import InvalidIdError
from syncgraph.graph import ids

fixed = settings(max_examples=60, deadline=None, derandomize=True)

names = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
external = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120) | st.text(
    ":/|=é𝄞 ", min_size=1, max_size=120
)
keys = st.builds(
    lambda kind, name, its: kind(name, its), st.sampled_from([ConnectorKey, SyncKey, RunKey]), names, external
)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def is_accepted(text: str) -> bool:
    try:
        ids.decode(text)
    except InvalidIdError as error:
        assert error.code == "BAD_ID"  # noqa: PT017  # the question is whether it raises at all
        return False
    return True


@fixed
@given(keys)
def test_an_id_names_the_key_that_it_was_made_of(key):
    encoded = ids.encode(key)
    decoded = ids.decode(encoded)

    assert (type(decoded), decoded) == (type(key), key)
    assert set(encoded) <= set(ALPHABET)


@fixed
@given(names)
def test_an_id_of_a_provider_is_its_name(name):
    assert ids.decode(ids.encode_provider(name)) == name


@fixed
@given(keys, keys)
def test_different_keys_have_different_ids(one, other):
    assert (ids.encode(one) == ids.encode(other)) is (type(one) is type(other) and one == other)


@pytest.mark.parametrize(
    "external_id", ["a:b", ":", "::", ":a", "a:", "SyncRun:den:x", "ключ", "𝄞", "a/b", "\x00", " "]
)
def test_an_external_id_may_hold_anything(external_id):
    assert ids.decode(ids.encode(RunKey("den", external_id))) == RunKey("den", external_id)


def test_equal_keys_of_different_types_have_different_ids():
    encoded = {ids.encode(kind("den", "1")) for kind in (ConnectorKey, SyncKey, RunKey)} | {
        ids.encode_provider("den")
    }

    assert len(encoded) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "SyncRun",
        "SyncRun:",
        "SyncRun:den",
        "SyncRun:den:",
        "SyncRun::x",
        ":den:x",
        "Run:den:x",
        "syncrun:den:x",
        " SyncRun:den:x",
        "Schedule:den:x",
        "Query:den:x",
        "Provider",
        "Provider:",
    ],
)
def test_a_foreign_type_or_an_empty_part_is_refused(text):
    assert not is_accepted(packed(text))


@pytest.mark.parametrize(
    "text",
    [
        "=",
        "A",
        "é",
        "\ud800",
        "𝄞𝄞𝄞𝄞",
        "SyncRun:den:x",
        "not base64",
        "\x00",
        "\n",
        "A" * 1_000_000,
        packed("x" * 2000),
    ],
    ids=lambda text: f"{len(text)}-{text[:6]!a}",
)
def test_what_was_never_an_id_is_refused(text):
    assert not is_accepted(text)


def test_bytes_that_are_no_text_are_refused():
    assert not is_accepted(base64.urlsafe_b64encode(b"SyncRun:den:\xff").rstrip(b"=").decode())


def test_an_id_at_the_length_limit_is_accepted_and_one_beyond_is_not():
    at_limit = ids.encode(RunKey("den", "x" * (ids.MAX_LENGTH // 4 * 3 - len("SyncRun:den:"))))
    beyond = ids.encode(RunKey("den", "x" * (ids.MAX_LENGTH // 4 * 3 + 1 - len("SyncRun:den:"))))

    assert (len(at_limit), is_accepted(at_limit), is_accepted(beyond)) == (ids.MAX_LENGTH, True, False)


@fixed
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_whatever_is_accepted_is_the_one_way_to_write_it(text):
    if is_accepted(text):
        key = ids.decode(text)
        assert (ids.encode_provider(key) if isinstance(key, str) else ids.encode(key)) == text


@fixed
@given(keys, st.sampled_from(["=", "==", "\n", " ", "A"]))
def test_an_id_with_something_added_is_another_or_none(key, more):
    encoded = ids.encode(key)

    assert not is_accepted(encoded + more) or ids.decode(encoded + more) != key


@pytest.mark.parametrize("external_id", ["?>?>?>", "é" * 3, "x", "xy", "xyz"])
def test_another_writing_of_the_same_bytes_is_refused(external_id):
    encoded = ids.encode(RunKey("den", external_id))
    raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    others = {
        other
        for char in (*ALPHABET, "+", "/")
        for other in (encoded[:-1] + char, encoded.replace("-", char), encoded.replace("_", char))
        if other != encoded
    } | {base64.urlsafe_b64encode(raw).decode()} - {encoded}

    assert [one for one in others if is_accepted(one) and ids.decode(one) == RunKey("den", external_id)] == []
