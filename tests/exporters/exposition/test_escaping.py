"""Names in the escaping schemes of Prometheus 3."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._exposition.escaping import (
    ESCAPINGS,
    escape_label_name,
    escape_labels,
    escape_metric_name,
    quoted_name,
    quoted_prefix,
)

NAMES = st.text(min_size=1)


def unescape_values(name: str) -> str:
    """Return the name that a name in the scheme `values` stands for, as Prometheus restores it."""
    if not name.startswith("U__"):
        return name
    codes = re.compile(r"__|_([0-9a-fA-F]{1,6})_")
    return codes.sub(lambda code: chr(int(code[1], 16)) if code[1] else "_", name[3:])


@pytest.mark.parametrize(
    ("name", "underscores", "dots", "values"),
    [
        ("http_requests", "http_requests", "http__requests", "http_requests"),
        ("http.requests", "http_requests", "http_dot_requests", "U__http_2e_requests"),
        ("a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"),
        ("a/b", "a_b", "a__b", "U__a_2f_b"),
        ("9.", "_9_", "___dot_", "U___39__2e_"),
        ("a9", "a9", "a9", "a9"),
        ("größe", "gr_f6__df_e", "gr____e", "U__gr_f6__df_e"),
        ("请求", "_8bf7__6c42_", "____", "U___8bf7__6c42_"),
        ("😱", "_1f631_", "__", "U___1f631_"),
        ("a:b", "a_b", "a:b", "a:b"),
        ("a:b c", "a_b_c", "a:b__c", "U__a:b_20_c"),
        ('"\\', "__", "____", "U___22__5c_"),
        ("%s", "_s", "__s", "U___25_s"),
    ],
)
def test_metrics_have_the_names_of_the_scheme(name, underscores, dots, values):
    assert escape_metric_name(name, "underscores") == underscores
    assert escape_metric_name(name, "allow-utf-8") == name
    assert escape_metric_name(name, "dots") == dots
    assert escape_metric_name(name, "values") == values


@pytest.mark.parametrize(
    ("name", "underscores", "utf8", "dots", "values"),
    [
        ("http.route", "http_route", "http.route", "http_dot_route", "U__http_2e_route"),
        ("a_b", "a_b", "a_b", "a__b", "a_b"),
        # A colon is a character of metric names only.
        ("a:b", "a_b", "a:b", "a__b", "U__a_3a_b"),
        # Prometheus drops labels with two underscores at the beginning.
        ("_a", "_a", "_a", "_a", "_a"),
        ("__a", "_a", "_a", "_a", "_a"),
        ("/a", "_a", "/a", "_a", "U___2f_a"),
        ("9", "_9", "9", "_", "U___39_"),
        ("", "_", "_", "_", "U__"),
        ("\ud800", "_d800_", "\ufffd", "_", "U___FFFD_"),
    ],
)
def test_labels_have_names_that_prometheus_keeps(name, underscores, utf8, dots, values):
    assert escape_label_name(name, "underscores") == underscores
    assert escape_label_name(name, "allow-utf-8") == utf8
    assert escape_label_name(name, "dots") == dots
    assert escape_label_name(name, "values") == values
    assert escape_labels(((name, '"'),), "values") == ((values, '"'),)


@given(NAMES)
def test_every_scheme_but_utf8_has_legacy_names(name: str):
    for escaping in ESCAPINGS:
        if escaping != "allow-utf-8":
            metric = escape_metric_name(name, escaping)
            assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", metric)
            label = escape_label_name(name, escaping)
            assert re.fullmatch(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", label)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_names_in_the_scheme_values_can_be_restored(name: str):
    if not name.startswith("U__"):
        assert unescape_values(escape_metric_name(name, "values")) == name
        if not name.startswith("__"):
            assert unescape_values(escape_label_name(name, "values")) == name


@given(st.text("ab_.:/2eU", min_size=1), st.text("ab_.:/2eU", min_size=1))
def test_different_names_are_different_in_the_scheme_values(one: str, other: str):
    if not one.startswith("U__") and not other.startswith("U__"):
        names = {escape_metric_name(name, "values") for name in (one, other)}
        assert len(names) == len({one, other})


@pytest.mark.parametrize(
    ("name", "labels", "text"),
    [
        ("a", (), "a "),
        ("a:b", (("c", "d"),), 'a:b{c="d"} '),
        ("a.b", (), '{"a.b"} '),
        ("a.b", (("c", "d"), ("e.f", '"')), '{"a.b",c="d","e.f"="\\""} '),
        ("a", (("a:b", "1"),), 'a{"a:b"="1"} '),
        ('"\\', (("\n", "1"),), '{"\\"\\\\","\\n"="1"} '),
        ("9a", (), '{"9a"} '),
        ("é", (), '{"é"} '),
    ],
)
def test_other_names_than_legacy_ones_are_in_quotes(name, labels, text):
    assert quoted_prefix(name, labels) == text


def test_the_name_of_a_family_is_in_quotes_as_well():
    assert [quoted_name(name) for name in ("a_b", "a:b", "a b")] == ["a_b", "a:b", '"a b"']
