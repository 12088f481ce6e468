"""Option values are read as people write them in code, environments and files."""

from decimal import Decimal
from fractions import Fraction

import pytest
from dependency_injector import providers
from hypothesis import given
from hypothesis import strategies as st

from metrics.options import boolean, labels, seconds


@pytest.mark.parametrize(
    ("on", "off"),
    [(True, False), (1, 0), ("1", "0"), ("true", "false"), ("yes", "no"), ("on", "off")],
)
def test_a_switch_is_on_or_off(on, off):
    assert boolean(on, "enabled") is True
    assert boolean(off, "enabled") is False
    if isinstance(on, str):
        assert boolean(f" {on.upper()}\n", "enabled") is True
        assert boolean(f"\t{off.title()} ", "enabled", default=True) is False


@pytest.mark.parametrize("unset", [None, "", "  \n"])
@pytest.mark.parametrize("default", [True, False])
def test_an_unset_switch_has_its_default(unset, default):
    assert boolean(unset, "enabled", default) is default


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("maybe", ValueError),
        ("t", ValueError),
        ("2", ValueError),
        ("", ValueError),
        (2, ValueError),
        (-1, ValueError),
        (None, TypeError),
        (1.0, TypeError),
        (b"true", TypeError),
        ([], TypeError),
    ],
)
def test_what_is_no_switch_is_an_error_with_value_option_and_remedy(value, error):
    with pytest.raises(error, match="use true or false, yes or no, on or off, 1 or 0") as raised:
        boolean(value, "enabled")
    assert str(raised.value).startswith(f"invalid enabled {value!r}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5s", 5.0),
        ("500ms", 0.5),
        ("57ms", 0.057),
        ("20us", 20e-6),
        ("20µs", 20e-6),
        ("20μs", 20e-6),
        ("1ns", 1e-9),
        ("1m", 60.0),
        ("1m30s", 90.0),
        ("30s1m", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1.5s", 1.5),
        ("1.s", 1.0),
        (".5h", 1800.0),
        ("1h0m0.25s", 3600.25),
        ("2", 2.0),
        ("2.5", 2.5),
        ("1e-3", 0.001),
        (str(1e-05), 1e-05),
        (" 7 ", 7.0),
        (3, 3.0),
        (0.25, 0.25),
        (Fraction(1, 4), 0.25),
        (Decimal("0.25"), 0.25),
    ],
)
def test_a_duration_becomes_seconds(value, expected):
    got = seconds(value, "interval")
    assert type(got) is float
    assert got == expected


@pytest.mark.parametrize(
    ("value", "error"),
    [
        *[(text, ValueError) for text in ("", "s", "5 s", "1m 30s", "-5s", "0", "0s", "0h0s")],
        *[(text, ValueError) for text in ("soon", "5y", "5S", "1M", "1s2", "nan", "inf", "1_0")],
        *[(text, ValueError) for text in (".", "1e3s", "٣s", "1e999", "9" * 400 + "s")],
        *[(number, ValueError) for number in (0, -1, 0.0, float("nan"), float("inf"), 10**400)],
        *[(other, TypeError) for other in (None, True, False, [], b"5s", 1j)],
    ],
    ids=str,
)
def test_what_is_no_duration_is_an_error_with_value_option_and_examples(value, error):
    with pytest.raises(error, match="use a number of seconds above 0, or a duration") as raised:
        seconds(value, "interval")
    assert str(raised.value).startswith(f"invalid interval {value!r}")
    assert all(example in str(raised.value) for example in ('"500ms"', '"2.5s"', '"1m30s"'))


@pytest.mark.parametrize("unset", [None, "", " "])
def test_an_unset_duration_has_its_default(unset):
    assert seconds(unset, "interval", 5.0) == 5.0


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_terms_add_up(hours, minutes, rest):
    assert seconds(f"{hours}h{minutes}m{rest}s", "for") == hours * 3600 + minutes * 60 + rest


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_the_text_of_a_number_is_that_number(number):
    assert seconds(str(number), "for") == number


@given(st.integers(1, 10**6))
def test_units_are_exact(count):
    assert seconds(f"{count}ms", "for") == count / 10**3
    assert seconds(f"{count}us", "for") == count / 10**6
    assert seconds(f"{count}ns", "for") == count / 10**9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("", {}),
        (" ", {}),
        ({}, {}),
        ({"zone": "eu", "shard": 3, "share": 0.5}, {"zone": "eu", "shard": "3", "share": "0.5"}),
        ({"zone": None, "rack": "", "shard": 0}, {"shard": "0"}),
        ("service=shop,zone=eu", {"service": "shop", "zone": "eu"}),
        (" service = shop , zone=eu,", {"service": "shop", "zone": "eu"}),
        ("path=a%2Cb%3Dc%25,name=%C3%A9", {"path": "a,b=c%", "name": "é"}),
        ("token=YQ==", {"token": "YQ=="}),
        ("zone=,shard=1", {"shard": "1"}),
        (",", {}),
    ],
)
def test_labels_are_a_mapping_or_text(value, expected):
    assert labels(value, "labels") == expected


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("shop", ValueError, "invalid labels 'shop': use names and values such as 'service=shop"),
        ("a=1,=eu", ValueError, "invalid labels 'a=1,=eu': use names and values"),
        ("a=1,a=2", ValueError, "invalid labels 'a=1,a=2': name 'a' only once"),
        ("a=%ff", ValueError, "invalid labels 'a=%ff': percent-encode the value of 'a' as UTF-8"),
        (["a"], TypeError, r"invalid labels \['a'\] \(list\): use a mapping, or a text"),
        (True, TypeError, r"invalid labels True \(bool\)"),
        ({1: "a"}, TypeError, "invalid name 1 in labels: use a str"),
        ({"a": True}, TypeError, "invalid value True of label 'a' in labels: use a str or a num"),
        ({"a": ["b"]}, TypeError, r"invalid value \['b'\] of label 'a' in labels"),
    ],
)
def test_malformed_labels_are_an_error_with_value_and_remedy(value, error, message):
    with pytest.raises(error, match=message):
        labels(value, "labels")


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), st.text(min_size=1)))
def test_percent_encoded_labels_come_back(pairs):
    from urllib.parse import quote

    encoded = ",".join(f"{name}={quote(label, safe='')}" for name, label in pairs.items())
    assert labels(encoded, "labels") == pairs


def test_a_provider_converts_its_own_options():
    config = providers.Configuration()
    timeout = providers.Callable(dict, timeout=config.timeout.as_(seconds, "timeout", default=5.0))
    assert timeout() == {"timeout": 5.0}
    config.from_dict({"timeout": "1m"})
    assert timeout() == {"timeout": 60.0}
