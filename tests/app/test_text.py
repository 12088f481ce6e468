"""Text for terminals does them no harm, and says numbers as people read them."""

from math import inf, nan

import pytest

from app.text import chart, exact, label_text, printable, quantity, short_quantity, sparkline

NUL, BEL, ESCAPE, DELETE, CSI = "\x00", "\a", "\x1b", "\x7f", "\x9b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode 漢字", "plain text, ünïcode 漢字"),
        (f"{ESCAPE}[2J", r"\x1b[2J"),
        (f"{CSI}31m", r"\x9b31m"),
        (f"{ESCAPE}]0;title{BEL}", r"\x1b]0;title\x07"),
        ("two\nlines\r", r"two\nlines\r"),
        (f"{NUL}{DELETE}", r"\x00\x7f"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}", r"\u202e"),
        ("\N{ZERO WIDTH SPACE}", r"\u200b"),
        ("\ud800", r"\ud800"),
        ("\N{LINE SEPARATOR}", r"\u2028"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_no_control_character_is_left(text, shown):
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_labels_are_quoted_and_escaped():
    labels = (("path", 'C:\\"x"'), ("note", f"a\n{ESCAPE}[0m"))
    assert label_text(labels) == r'{path="C:\\\"x\"",note="a\n\x1b[0m"}'
    assert label_text(labels, ", ").count(", ") == 1
    assert label_text(()) == ""


@pytest.mark.parametrize(
    ("value", "unit", "shown", "short"),
    [
        (0, "seconds", "0", "0"),
        (0.0015, "seconds", "1.5 ms", "1.5ms"),
        (0.99996, "seconds", "1 s", "1s"),
        (0.9996, "seconds", "999.6 ms", "1s"),
        (59.99, "seconds", "59.99 s", "1min"),
        (90, "seconds", "1.5 min", "1.5min"),
        (-7200.0, "seconds", "-2 h", "-2h"),
        (259_200, "seconds", "3 d", "3d"),
        (2.5e-7, "seconds", "250 ns", "250ns"),
        (1e-15, "seconds", "1e-06 ns", "1e-06ns"),
        (1023, "bytes", "1023 B", "1020B"),
        (1536, "bytes", "1.5 KiB", "1.5KiB"),
        (20 * 2**20, "bytes", "20 MiB", "20MiB"),
        (0.1234567, "ratio", "12.35 %", "12.3%"),
        (1.21, "ratio", "121 %", "121%"),
        (1_234_567, "", "1,234,567", "1.23M"),
        (1_234_567.5, "", "1.23457e+06", "1.23M"),
        (12, "apples", "12", "12"),
        (10**400, "", f"{10**400:,}", "+Inf"),
        (inf, "seconds", "+Inf", "+Inf"),
        (-inf, "bytes", "-Inf", "-Inf"),
        (nan, "", "NaN", "NaN"),
    ],
)
def test_values_have_readable_units(value, unit, shown, short):
    assert quantity(value, unit) == shown
    assert short_quantity(value, unit) == short


@pytest.mark.parametrize("name", ["process_start_time_seconds", "x_created", "x_timestamp_seconds"])
def test_instants_are_dates(name):
    assert quantity(1_700_000_000.5, "seconds", name) == "2023-11-14 22:13:20Z"
    assert quantity(1e30, "seconds", name) == "1e+30"
    assert quantity(12.0, "seconds", name) == "12 s"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2**53 + 1, "9007199254740993"), (0.1, "0.1"), (inf, "+Inf"), (-inf, "-Inf"), (nan, "NaN")],
)
def test_exact_numbers_have_every_digit(value, shown):
    assert exact(value) == shown


def test_sparklines_span_from_the_lowest_value_to_the_highest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([7, 0], 4) == "  █▁"
    assert sparkline(range(100), 3) == "▁▅█"
    assert sparkline([], 3) == "   "


def test_sparklines_of_rates_begin_at_zero():
    assert sparkline([5.0, 5.0], 2) == "▁▁"
    assert sparkline([5.0, 5.0], 2, floor=0.0) == "██"
    assert sparkline([0.0, 0.0], 2, floor=0.0) == "▁▁"


def test_values_that_are_not_finite_are_gaps():
    assert sparkline([1.0, nan, inf, 2.0], 4) == "▁  █"
    assert sparkline([nan], 2) == "  "


def test_the_largest_floats_fit_in_a_chart():
    assert sparkline([-1.7e308, 1.7e308], 2) == "▁█"


def test_charts_have_as_many_lines_as_are_wanted():
    assert chart([0, 15], 3, 2) == ["  █", " ▁█"]
    assert chart([0, 7], 2, 2, floor=-7) == ["▁█", "██"]
