from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters.transports import credentials
from metrics.reporters.transports.credentials import basic

texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)

SECRET = "hunter2"


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
        (f"{SECRET}\n", ValueError),
        (f"{SECRET}ä", ValueError),
    ],
)
def test_a_missing_or_malformed_option_is_named_and_not_repeated(value, error):
    with pytest.raises(error, match="token") as caught:
        credentials.given_in_ascii("token", value)
    assert SECRET not in str(caught.value)
    assert credentials.given_in_ascii("token", SECRET) == SECRET


def test_an_option_that_is_no_header_may_have_any_script():
    assert credentials.given("database", "données") == "données"
    with pytest.raises(ValueError, match="database"):
        credentials.given("database", "a\n")
