"""What a server repeats is shown without the secrets that it was sent."""

import html
import json
from base64 import b64encode
from textwrap import fill
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metrics.reporters.transports.redaction import SHOWN, Redaction

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
