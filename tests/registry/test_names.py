"""Names in the letters of formats, and the names of the metric families of an instrument."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics._units import SCALES, base_unit
from metrics.registry._names import (
    counter_name,
    event_rate_name,
    exported_name,
    health_name,
    info_name,
    measure_name,
    rate_name,
    stem,
)

LETTERS = st.text(alphabet=st.characters(categories=["L"]), min_size=1)


@pytest.mark.parametrize(
    ("name", "exported"),
    [
        ("requests", "requests"),
        ("_a1", "_a1"),
        ("rpc/requests", "rpc_requests"),
        ("a.b-c:d e", "a_b_c_d_e"),
        ("5xx", "_5xx"),
        ("größe", "gr_f6__df_e"),
        ("日", "_65e5_"),
        ("٣", "_663_"),
        ("5日", "_5_65e5_"),
        ("😀", "_1f600_"),
        ("class", "class"),
    ],
)
def test_exported_names_have_letters_digits_and_underscores(name: str, exported: str):
    assert exported_name(name) == exported


@given(st.text(min_size=1))
def test_an_exported_name_is_fit_for_prometheus_and_stays_as_it_is(name: str):
    exported = exported_name(name)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", exported, re.ASCII)
    assert exported_name(exported) == exported


def test_names_in_another_script_stay_different():
    assert exported_name("请求") != exported_name("错误")


@given(LETTERS, LETTERS)
def test_different_words_of_any_script_have_different_exported_names(one: str, other: str):
    assert (exported_name(one) == exported_name(other)) is (one == other)


@pytest.mark.parametrize(
    ("function", "name", "unit", "expected"),
    [
        (measure_name, "wait", "milliseconds", "wait_seconds"),
        (measure_name, "wait/milliseconds", "milliseconds", "wait_seconds"),
        (measure_name, "milliseconds", "milliseconds", "seconds"),
        (measure_name, "waitmilliseconds", "milliseconds", "wait_seconds"),
        (measure_name, "kilobytes_kilobytes", "kilobytes", "bytes"),
        (measure_name, "holidays", "days", "holidays_seconds"),
        (measure_name, "days", "days", "days_seconds"),
        (measure_name, "wait_seconds", "seconds", "wait_seconds"),
        (measure_name, "readbytes", "bytes", "readbytes"),
        (measure_name, "load", "percent", "load_ratio"),
        (measure_name, "tilt", "°", "tilt"),
        (measure_name, "wait", "µs", "wait"),
        (measure_name, "wait", "%", "wait"),
        (measure_name, "wait", "m/s", "wait_m_s"),
        (measure_name, "tilt", "", "tilt"),
        (counter_name, "hits_total", "", "hits"),
        (counter_name, "cpu/total", "seconds", "cpu_seconds"),
        (counter_name, "total", "", "total"),
        (rate_name, "hits", "", "hits_per_second"),
        (rate_name, "read", "bytes", "read_bytes_per_second"),
        (event_rate_name, "call", "seconds", "call_per_second"),
        (event_rate_name, "call_seconds", "seconds", "call_per_second"),
        (info_name, "python/info", "", "python"),
        (health_name, "db", "", "db_healthy"),
    ],
)
def test_the_name_of_a_family_ends_in_its_base_unit(function, name, unit, expected):
    assert function(stem(exported_name(name), unit), base_unit(unit)) == expected


@pytest.mark.parametrize(
    ("function", "name", "unit", "expected"),
    [
        (measure_name, "http.wait/milliseconds", "milliseconds", "http.wait_seconds"),
        (measure_name, "a/b milliseconds milliseconds", "milliseconds", "a/b_seconds"),
        (measure_name, "cpu.load-percent", "percent", "cpu.load_ratio"),
        (measure_name, "disk.bytes", "bytes", "disk.bytes"),
        (measure_name, "größe", "bytes", "größe_bytes"),
        (counter_name, "http.requests.total", "", "http.requests"),
        (counter_name, "/total", "", "/total"),
        (counter_name, "étotal", "", "étotal"),
        (counter_name, "subtotal", "", "subtotal"),
        (event_rate_name, "http.call.seconds", "seconds", "http.call_per_second"),
        (info_name, "python/info", "", "python"),
    ],
)
def test_a_name_that_is_not_exported_keeps_its_characters(function, name, unit, expected):
    assert function(stem(name, unit), base_unit(unit)) == expected


@given(st.sampled_from(sorted(SCALES)), st.sampled_from(sorted(SCALES)), st.sampled_from("/_ab"))
def test_a_name_never_ends_in_a_unit_that_its_values_are_not_in(unit: str, word: str, before: str):
    for name in (unit, f"{before}{unit}", f"{word}{before}{unit}", f"{before}{unit}/{unit}"):
        measured = measure_name(stem(name, unit), base_unit(unit))
        assert measured.endswith(base_unit(unit))
        assert not measured.endswith(unit)
