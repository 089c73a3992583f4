import re
import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.gateway import NOW

from syncgraph.domain.failure import MAX_MESSAGE, failure, fingerprint, scrub
from syncgraph.domain.model import ErrorCategory

fixed = settings(max_examples=60, deadline=None, derandomize=True)

secrets = st.text(string.ascii_letters + string.digits + "-_.~+/", min_size=16, max_size=60)
words = st.text(string.ascii_lowercase + " ", max_size=30)
NAMES = [
    "authorization",
    "Authorization",
    "x-api-key",
    "X-API-KEY",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "access-token",
    "refresh_token",
    "client_secret",
    "secret",
    "token",
    "password",
    "passwd",
    "pwd",
]


@fixed
@given(words, st.sampled_from(["Bearer ", "bearer ", "BEARER  "]), secrets, words)
def test_a_bearer_token_goes(before, scheme, secret, after):
    scrubbed = scrub(f"{before} {scheme}{secret} {after}")

    assert secret not in scrubbed
    assert scrubbed == f"{before} {scheme}*** {after}"


@fixed
@given(
    st.sampled_from(NAMES),
    st.sampled_from(["=", ": ", " = ", '": "', "': '", "=Bearer ", ": bearer "]),
    secrets,
)
def test_what_is_named_as_a_secret_goes(name, between, secret):
    scrubbed = scrub(f"cannot connect ({name}{between}{secret}) to host")

    assert secret not in scrubbed
    assert scrubbed == f"cannot connect ({name}{between}***) to host"


@fixed
@given(st.sampled_from(["https", "postgresql", "s3"]), secrets, secrets)
def test_the_userinfo_of_an_address_goes_and_its_host_stays(scheme, user, password):
    assume("/" not in user + password)

    assert scrub(f"GET {scheme}://{user}:{password}@db.acme.test/x") == f"GET {scheme}://***@db.acme.test/x"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ('{"authorization": "Token 3f9a77c1b2"}', "3f9a77c1b2"),
        ("redis://:hunter2hunter2@cache:6379/0", "hunter2hunter2"),
        ("https://ghp_16C7e42F292c69@github.test/acme.git", "ghp_16C7e42F292c69"),
        ("postgres://app:p@ssw0rd-tail@db/x", "ssw0rd-tail"),
        ("postgres://app:pass/w0rd-tail@db/x", "w0rd-tail"),
        ("DB_PASSWORD=hunter2hunter2", "hunter2hunter2"),
        ("auth_token: hunter2hunter2", "hunter2hunter2"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENG", "wJalrXUtnFEMIK7MDENG"),
        ('password="correct horse battery"', "horse battery"),
        ("password='a,b;c)tail-of-it'", "tail-of-it"),
        (r"{\"password\": \"hunter2hunter2\"}", "hunter2hunter2"),
        ("https://api.test/x?sig=1&access_token=hunter2hunter2&y=2", "hunter2hunter2"),
        ("token=abc&password=hunter2hunter2", "hunter2hunter2"),
    ],
)
def test_a_secret_goes_in_whatever_form_drivers_print_it(text, secret):
    assert secret not in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The token expired.",
        "password authentication failed for user",
        "bearer of bad news",
        "see https://docs.acme.test/errors#429",
        "relation public.tokens does not exist",
        "mail ops@acme.test: the secretary is out",
        "at 09:41 the host db:5432 was gone",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert scrub(text) == text


@fixed
@given(st.text(max_size=200))
def test_text_that_was_scrubbed_is_not_changed_again(text):
    assert scrub(scrub(text)) == scrub(text)


@fixed
@given(st.text(max_size=300), st.integers(0, 3 * MAX_MESSAGE))
def test_a_message_is_at_most_two_thousand_characters(text, padding):
    message = failure(" " * padding + text).message

    assert len(message) <= 2000
    assert message == scrub(" " * padding + text)[:2000]


@fixed
@given(st.integers(1960, 2000))
def test_a_secret_across_the_cut_is_gone_before_it(at):
    assert "hunter2" not in failure("x" * at + " password=" + "hunter2" * 100).message


def test_a_failure_keeps_what_else_is_known_of_it():
    error = failure("no", category=ErrorCategory.TIMEOUT, code="E1", occurred_at=NOW)

    assert (error.category, error.code, error.occurred_at) == (ErrorCategory.TIMEOUT, "E1", NOW)
    assert failure("no").category is ErrorCategory.UNKNOWN


digits = st.integers(0, 10**18).map(str)
hexes = st.uuids().map(lambda uuid: uuid.hex).filter(lambda text: not text.isdigit())
times = st.datetimes().map(lambda at: at.isoformat() + "Z") | st.datetimes().map(
    lambda at: at.isoformat(" ", "seconds")
)
typeids = st.text(string.ascii_lowercase + string.digits, min_size=26, max_size=26).map("cse_".__add__)
quotable = st.text(string.ascii_letters + string.digits + " .-:/", max_size=20)
VARIABLES = {
    "number": digits,
    "uuid": st.uuids().map(str),
    "hex": hexes,
    "time": times,
    "typeid": typeids,
    "single": quotable.map("'{}'".format),
    "double": quotable.map('"{}"'.format),
    "backtick": quotable.map("`{}`".format),
}


@pytest.mark.parametrize("kind", VARIABLES)
@fixed
@given(st.data())
def test_messages_that_differ_only_in_what_varies_have_one_fingerprint(kind, data):
    one, other = data.draw(VARIABLES[kind]), data.draw(VARIABLES[kind])

    assert fingerprint(f"row {one} of it is bad") == fingerprint(f"row {other} of it is bad")


@fixed
@given(st.text(string.ascii_letters + " ", max_size=40), st.text(string.ascii_letters + " ", max_size=40))
def test_different_texts_have_different_fingerprints(one, other):
    meant = [" ".join(text.lower().split()) for text in (one, other)]

    assert (fingerprint(one) == fingerprint(other)) is (meant[0] == meant[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("column 3 is missing", "column 3 is empty"),
        ("timeout after 30 s", "refused after 30 s"),
        ("can't read the table, it isn't there", "can't write the table, it isn't there"),
        ("no such table", "no such table 1"),
        ("", "x"),
    ],
)
def test_different_failures_are_told_apart(one, other):
    assert fingerprint(one) != fingerprint(other)


@fixed
@given(st.text(max_size=200))
def test_a_fingerprint_is_sixteen_hex_digits_and_always_the_same(text):
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint(text))
    assert fingerprint(text) == fingerprint(text)
    assert fingerprint(text) == fingerprint(f"  {text}\n")


@pytest.mark.parametrize(
    "piece", ["'", '"', "token ", "://a:", "bearer ", "secret=", "a1", "2026-11-22T", "x_", "\\"]
)
def test_no_text_of_the_size_of_an_answer_takes_forever(piece):
    text = piece * (200_000 // len(piece))

    assert len(failure(text).message) <= 2000
    assert len(fingerprint(text)) == 16
