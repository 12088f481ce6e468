import html
import json
from base64 import b64decode, b64encode
from textwrap import fill
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metrics.reporters._transports import secrets
from metrics.reporters._transports.secrets import SHOWN, Redaction, basic

texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)

PASSWORD = "hunter2"


def test_without_a_user_there_is_no_header():
    for nothing in (None, ""):
        assert basic(nothing, nothing) == ({}, ())


def test_a_user_and_a_password_are_sent_as_the_standard_has_it():
    # The example of RFC 7617, section 2, and that of section 2.1, in UTF-8.
    assert basic("Aladdin", "open sesame").headers == {
        "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    }
    assert basic("test", "123£").headers == {"Authorization": "Basic dGVzdDoxMjPCow=="}


@given(texts.filter(lambda text: ":" not in text), texts)
def test_what_is_sent_is_read_back_and_is_secret(user: str, password: str):
    headers, secrets = basic(user, password)
    kind, encoded = headers["Authorization"].split(" ")
    assert kind == "Basic"
    assert b64decode(encoded).decode() == f"{user}:{password}"
    assert {password, encoded} <= set(secrets)


@pytest.mark.parametrize(
    ("user", "password", "error", "option"),
    [
        ("u", None, ValueError, "password"),
        ("u", "", ValueError, "password"),
        (None, "s3cret", ValueError, "username"),
        ("u:s3cret", "s3cret", ValueError, "username"),
        ("u", "s3cret\n", ValueError, "password"),
        ("u", "s3cret\udc80", ValueError, "password"),
        (5, "s3cret", TypeError, "username"),
        ("u", 5, TypeError, "password"),
    ],
)
def test_what_cannot_be_sent_is_named_and_not_shown(user, password, error, option):
    with pytest.raises(error, match=option) as caught:
        basic(user, password)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, ValueError),
        ("", ValueError),
        (5, TypeError),
        (f"{PASSWORD}\n", ValueError),
        (f"{PASSWORD}ä", ValueError),
    ],
)
def test_a_missing_or_malformed_option_is_named_and_not_repeated(value, error):
    with pytest.raises(error, match="token") as caught:
        secrets.require_ascii("token", value)
    assert PASSWORD not in str(caught.value)
    assert secrets.require_ascii("token", PASSWORD) == PASSWORD


def test_an_option_that_is_no_header_may_have_any_script():
    assert secrets.require("database", "données") == "données"
    with pytest.raises(ValueError, match="database"):
        secrets.require("database", "a\n")


SECRET = 'tök/en+with "odd" <chars>&=\\'

PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=60)


@pytest.mark.parametrize(
    "written",
    [
        str,
        quote,
        lambda s: quote(s, safe=""),
        lambda s: quote(s, safe="").lower(),
        quote_plus,
        html.escape,
        lambda s: json.dumps(s)[1:-1],
        lambda s: b64encode(s.encode()).decode(),
        repr,
        str.upper,
    ],
)
def test_a_secret_is_not_shown_however_it_is_written(written):
    text = f"bad token {written(SECRET)}, sorry"
    shown = Redaction([SECRET]).shown(text)
    assert "***" in shown
    assert written(SECRET) not in shown
    assert shown.startswith("bad token")
    assert shown.endswith("sorry")


def test_a_secret_that_is_part_of_another_leaves_nothing_of_it():
    assert Redaction(["abc", "abcdef"]).shown("abcdef abc") == "*** ***"


@given(PLAIN)
def test_a_secret_that_is_broken_into_lines_is_not_shown(secret):
    wrapped = "\r\n".join(secret)
    assert Redaction([secret]).shown(f"x{wrapped}y") == "x***y"
    assert Redaction([secret]).shown(fill(secret, 4)) == "***"


@given(PLAIN, st.integers(0, 400))
def test_half_a_secret_at_the_end_of_what_was_read_is_not_shown(secret, spaces):
    assume("***" not in secret)
    text = " " * spaces + secret
    read = text[: len(text) - len(secret) // 2]
    assert secret[: len(secret) // 2] not in Redaction([secret]).shown(read, cut=True)


def test_one_short_line_is_shown():
    shown = Redaction().shown("a\n\tb\x00\x1b[31mc\u202e" + "d" * 1000)
    assert shown == "a b??[31mc?" + "d" * (SHOWN - 11) + "..."


def test_without_secrets_a_text_is_as_it_is():
    assert Redaction(["", ""]).shown("field type conflict") == "field type conflict"


def test_its_repr_holds_no_secret():
    assert SECRET not in repr(Redaction([SECRET]))
