"""Pages in every escaping scheme, read back by prometheus_client's parsers."""

import logging
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from metrics import BucketHistogram, Registry, StateSet
from metrics.exporters import openmetrics, prometheus, remote_write
from metrics.exporters._exposition.escaping import ESCAPINGS, escape_metric_name
from metrics.exporters._exposition.layout import TextLayout
from metrics.registry._inner import exported_name
from metrics.testing import ManualClock
from tests.exporters.everything import everything
from tests.exporters.examples import names as any_names
from tests.exporters.write_requests import read

FORMATS = [(prometheus, text_families), (openmetrics, openmetrics_families)]

both = pytest.mark.parametrize(("exporter", "parse"), FORMATS, ids=["text", "openmetrics"])


def lines(page: bytes) -> list[str]:
    return [line for line in page.decode().splitlines() if line[0] != "#"]


def samples(page: bytes, parse: Callable) -> dict[tuple[str, frozenset], float]:
    found = [sample for family in parse(page.decode()) for sample in family.samples]
    by_series = {(one.name, frozenset(one.labels.items())): one.value for one in found}
    assert len(by_series) == len(found)
    return by_series


def test_a_counter_has_the_name_of_each_scheme_in_text():
    registry = Registry()
    registry.counter("http/server.requests", description="Seen.").inc(3)
    pages = {e: prometheus.render(registry, escaping=e).decode() for e in ESCAPINGS}
    assert pages == {
        "underscores": (
            "# HELP http_server_requests_total Seen.\n"
            "# TYPE http_server_requests_total counter\n"
            "http_server_requests_total 3\n"
        ),
        "allow-utf-8": (
            '# HELP "http/server.requests_total" Seen.\n'
            '# TYPE "http/server.requests_total" counter\n'
            '{"http/server.requests_total"} 3\n'
        ),
        "dots": (
            "# HELP http__server_dot_requests__total Seen.\n"
            "# TYPE http__server_dot_requests__total counter\n"
            "http__server_dot_requests__total 3\n"
        ),
        "values": (
            "# HELP U__http_2f_server_2e_requests__total Seen.\n"
            "# TYPE U__http_2f_server_2e_requests__total counter\n"
            "U__http_2f_server_2e_requests__total 3\n"
        ),
    }


def test_a_counter_with_a_unit_has_the_name_of_each_scheme_in_openmetrics():
    registry = Registry(clock=ManualClock())
    registry.counter("a.b", unit="bytes", description='"').inc(3)
    utf8 = openmetrics.render(registry, escaping="allow-utf-8", created=True).decode()
    assert utf8 == (
        '# HELP "a.b_bytes" \\"\n# TYPE "a.b_bytes" counter\n# UNIT "a.b_bytes" bytes\n'
        '{"a.b_bytes_total"} 3\n{"a.b_bytes_created"} 1700000000.0\n# EOF\n'
    )
    # The family has the name of the sample without `_total`, as in client_golang.
    values = openmetrics.render(registry, escaping="values", created=True).decode()
    assert values == (
        '# HELP U__a_2e_b__bytes_ \\"\n# TYPE U__a_2e_b__bytes_ counter\n'
        "U__a_2e_b__bytes__total 3\nU__a_2e_b__bytes__created 1700000000.0\n# EOF\n"
    )


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_a_histogram_has_its_suffixes_in_the_quotes_and_behind_escaped_names(exporter):
    registry = Registry()
    histogram = BucketHistogram((0.5, 1.0))
    registry.register("http.server.request.duration", histogram, unit="seconds").update(0.7)
    assert lines(exporter.render(registry, escaping="allow-utf-8")) == [
        '{"http.server.request.duration_seconds_bucket",le="0.5"} 0',
        '{"http.server.request.duration_seconds_bucket",le="1.0"} 1',
        '{"http.server.request.duration_seconds_bucket",le="+Inf"} 1',
        '{"http.server.request.duration_seconds_sum"} 0.7',
        '{"http.server.request.duration_seconds_count"} 1',
    ]
    names = [line.split("{")[0] for line in lines(exporter.render(registry, escaping="dots"))]
    assert set(names) == {
        "http_dot_server_dot_request_dot_duration__seconds_bucket",
        "http_dot_server_dot_request_dot_duration__seconds_sum 0.7",
        "http_dot_server_dot_request_dot_duration__seconds_count 1",
    }


@pytest.mark.parametrize(
    ("name", "unit", "exposed"),
    [
        ("http/requests", "", "http/requests"),
        ("http/requests", "seconds", "http/requests_seconds"),
        # A unit that the name has already, and units that are converted, as on the legacy page.
        ("disk.bytes", "bytes", "disk.bytes"),
        ("wait/milliseconds", "milliseconds", "wait_seconds"),
        ("wait.milliseconds", "milliseconds", "wait_seconds"),
        ("cpu load percent", "percent", "cpu load_ratio"),
        ("größe", "°", "größe"),
        ("a:b", "", "a:b"),
        ("9", "", "9"),
        ('50% {of} \\ "all"', "", '50% {of} \\ "all"'),
    ],
)
def test_names_in_utf8_keep_their_characters_and_have_units_as_in_underscores(name, unit, exposed):
    registry = Registry()
    registry.gauge(name, unit=unit).set(0.0)
    (legacy,) = samples(prometheus.render(registry), text_families)
    for exporter, parse in FORMATS:
        ((found, _),) = samples(exporter.render(registry, escaping="allow-utf-8"), parse)
        assert found == exposed
        assert exported_name(found) == legacy[0]


def test_a_word_total_is_the_suffix_that_counters_have():
    registry = Registry()
    registry.counter("a.total")
    registry.counter("b/total")
    page = prometheus.render(registry, escaping="allow-utf-8")
    assert lines(page) == ["a_total 0", "b_total 0"]


def test_a_page_of_legacy_names_is_the_same_in_utf8_and_values():
    registry = Registry(labels={"zone": "eu"}, clock=ManualClock())
    registry.timer("call_1").update(0.5)
    registry.counters("hits", labels=("_a", "b")).labels("1", "2").inc()
    registry.info("build").set({"version": "1"})
    registry.register("mode", StateSet(("on", "off")))
    for exporter, _ in FORMATS:
        page = exporter.render(registry, target={"v": "1"})
        assert len(page.splitlines()) > 25
        for escaping in ("allow-utf-8", "values"):
            assert exporter.render(registry, escaping=escaping, target={"v": "1"}) == page


@both
def test_names_of_labels_are_in_the_scheme_wherever_they_come_from(exporter, parse):
    registry = Registry(labels={"my_zone": "eu"})
    registry.counters("hits", labels=("by_route", "_x")).labels("a", "b").inc()
    registry.info("build").set({"git.commit": "1", "__x": "2", "my_zone": "us"})
    found = {
        escaping: {
            name: dict(labels)
            for name, labels in samples(
                exporter.render(registry, escaping=escaping, target={"by_me": "1"}), parse
            )
        }
        for escaping in ("allow-utf-8", "dots", "values")
    }
    assert found == {
        "allow-utf-8": {
            "target_info": {"by_me": "1"},
            "hits_total": {"my_zone": "eu", "by_route": "a", "_x": "b"},
            "build_info": {"my_zone": "eu", "git.commit": "1", "_x": "2", "my_zone_": "us"},
        },
        "dots": {
            "target_info": {"by__me": "1"},
            "hits__total": {"my__zone": "eu", "by__route": "a", "_x": "b"},
            "build__info": {"my__zone": "eu", "git_dot_commit": "1", "_x": "2", "my__zone_": "us"},
        },
        "values": {
            "target_info": {"by_me": "1"},
            "hits_total": {"my_zone": "eu", "by_route": "a", "_x": "b"},
            "build_info": {"my_zone": "eu", "U__git_2e_commit": "1", "_x": "2", "my_zone_": "us"},
        },
    }


@both
@pytest.mark.parametrize("escaping", ESCAPINGS)
@pytest.mark.parametrize("name", ["mode", "my.mode", "my mode", "a:b", "9", "größe", "_x", "a_b"])
def test_the_label_of_a_state_is_the_name_of_its_family(exporter, parse, escaping, name):
    registry = Registry()
    registry.register(name, StateSet(("on", "off"))).set("on")
    (family,) = parse(exporter.render(registry, escaping=escaping).decode())
    assert [sample.labels for sample in family.samples] == [
        {family.name: "on"},
        {family.name: "off"},
    ]


@both
def test_names_that_are_the_same_in_underscores_are_different_in_utf8(exporter, parse, caplog):
    registry = Registry()
    for value, name in enumerate(("a/b", "a.b", "a b", "a_b")):
        registry.gauge(name).set(value)
    found = samples(exporter.render(registry, escaping="allow-utf-8"), parse)
    assert {name: value for (name, _), value in found.items()} == {
        "a/b": 0,
        "a.b": 1,
        "a b": 2,
        "a_b": 3,
    }
    found = samples(exporter.render(registry, escaping="values"), parse)
    assert len(found) == 4
    assert not caplog.records


def test_instruments_are_numbered_in_each_scheme_by_itself(caplog):
    registry = Registry()
    for value, name in enumerate(("a/b", "a.b", "a b")):
        registry.gauge(name).set(value)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert lines(prometheus.render(registry, escaping="dots")) == [
                "a__b__2 2.0",
                "a_dot_b 1.0",
                "a__b 0.0",
            ]
            assert lines(prometheus.render(registry)) == ["a_b_3 2.0", "a_b_2 1.0", "a_b 0.0"]
    renamed = [record.args[:3] for record in caplog.records]
    assert renamed == [
        ("a b", "prometheus with escaping=dots", "a__b"),
        ("a.b", "prometheus", "a_b"),
        ("a b", "prometheus", "a_b"),
    ]


def test_a_number_stands_before_the_suffix_in_quotes():
    registry = Registry()
    registry.counter("a.b/total").inc()
    registry.counter("a.b").inc(2)
    assert lines(prometheus.render(registry, escaping="allow-utf-8")) == [
        '{"a.b_2_total"} 2',
        '{"a.b_total"} 1',
    ]


@both
@pytest.mark.parametrize("escaping", ESCAPINGS)
def test_families_are_requested_by_the_names_of_the_page(exporter, parse, escaping):
    registry = Registry()
    registry.counter("a.b").inc()
    registry.register("c d", BucketHistogram((1.0,)))
    registry.gauge("e/f")
    page = exporter.render(registry, escaping=escaping)
    for family in parse(page.decode()):
        for sample in family.samples:
            only = exporter.render(registry, escaping=escaping, names=[sample.name])
            (found,) = parse(only.decode())
            assert (found.name, found.samples) == (family.name, family.samples)
    expected = escape_metric_name("a.b_total", escaping)
    assert exporter.render(registry, escaping=escaping, names=[expected]) != b""
    assert not list(parse(exporter.render(registry, escaping=escaping, names=["z"]).decode()))


@both
@pytest.mark.parametrize("escaping", ESCAPINGS)
def test_a_page_is_the_same_when_its_text_was_kept(exporter, parse, escaping):
    registry = everything()
    first = exporter.render(registry, escaping=escaping)
    # Another scheme in between changes nothing.
    for other in ESCAPINGS:
        exporter.render(registry, escaping=other, reader="other")
    assert exporter.render(registry, escaping=escaping, reader="another") == first
    assert samples(first, parse)


@pytest.mark.parametrize("escaping", ESCAPINGS)
def test_the_samples_are_the_same_in_both_formats(escaping):
    registry = everything()
    text = sorted(lines(prometheus.render(registry, escaping=escaping)))
    assert sorted(lines(openmetrics.render(registry, escaping=escaping))) == text


def test_remote_write_keeps_the_names_in_underscores():
    registry = Registry()
    registry.counter("a.b").inc()
    for escaping in ESCAPINGS:
        prometheus.render(registry, escaping=escaping)
    (found,) = read(remote_write.render(registry, timestamp_ns=0))
    assert found.key[0] == "a_b_total"


def test_a_clear_registry_keeps_no_layout_in_any_scheme():
    registry = Registry()
    registry.gauge("a.b")
    for escaping in ESCAPINGS:
        prometheus.render(registry, escaping=escaping)
    registry.clear()
    registry.counter("a.b").inc(4)
    assert lines(prometheus.render(registry, escaping="allow-utf-8")) == ['{"a.b_total"} 4']


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_a_wrong_escaping_is_an_error_at_the_call(exporter):
    message = "unknown escaping 'utf-8': use one of underscores, allow-utf-8, dots, values"
    with pytest.raises(ValueError, match=message):
        exporter.stream(Registry(), escaping="utf-8")
    with pytest.raises(ValueError, match=message):
        exporter.content_type("utf-8")


@pytest.mark.parametrize("escaping", ["allow-utf-8", "dots", "values"])
def test_go_ethereums_dialect_has_underscores_only(escaping):
    message = f"escaping '{escaping}' is not one of dialect 'go-ethereum', .* leave the option out"
    with pytest.raises(ValueError, match=message):
        prometheus.stream(Registry(), dialect="go-ethereum", escaping=escaping)
    page = prometheus.render(Registry(), dialect="go-ethereum", escaping="underscores")
    assert page == b""


def test_the_content_type_has_the_scheme_if_the_format_has_one():
    assert prometheus.content_type() == prometheus.CONTENT_TYPE
    assert openmetrics.content_type() == openmetrics.CONTENT_TYPE
    for escaping in ("allow-utf-8", "dots", "values"):
        parameters = f"; version=1.0.0; charset=utf-8; escaping={escaping}"
        assert prometheus.content_type(escaping) == f"text/plain{parameters}"
        assert openmetrics.content_type(escaping) == f"application/openmetrics-text{parameters}"


COUNTS = st.integers(0, 2**53)


@both
@pytest.mark.parametrize("escaping", ESCAPINGS)
@given(
    gauges=st.dictionaries(any_names, st.floats(allow_nan=False), max_size=5),
    counts=st.dictionaries(any_names, st.dictionaries(st.text(), COUNTS, max_size=3), max_size=3),
    buckets=any_names,
    facts=st.dictionaries(st.text(), st.text(), max_size=4),
)
def test_any_names_labels_and_values_read_back(
    exporter, parse, escaping, gauges, counts, buckets, facts
):
    registry = Registry(labels={"a_b": "c"})
    for name, value in gauges.items():
        registry.gauge(f"g{name}").set(value)
    for name, children in counts.items():
        family = registry.counters(f"c{name}", labels=("x_y",))
        for label, count in children.items():
            family.labels(label).inc(count)
    registry.register(f"b{buckets}", BucketHistogram((1.0,))).update(0.5)
    registry.info("i").set(facts)
    found = samples(exporter.render(registry, escaping=escaping), parse)
    a_b, x_y = ("a__b", "x__y") if escaping == "dots" else ("a_b", "x_y")
    assert all((a_b, "c") in labels for _, labels in found)
    values = sorted(v for (name, _), v in found.items() if name[0] == "g" or name[:4] == "U__g")
    assert values == sorted(gauges.values())
    totals = sorted(
        (dict(labels)[x_y], v) for (_, labels), v in found.items() if x_y in dict(labels)
    )
    expected = [pair for children in counts.values() for pair in children.items()]
    shown = [(label.encode(errors="replace").decode(), count) for label, count in expected]
    assert totals == sorted(shown)
    (shown_facts,) = [labels for name, labels in found if re.fullmatch("i_{1,2}info", name)]
    assert len(shown_facts) == len(facts) + 1
    assert sum("le" in dict(labels) for _, labels in found) == 2
    if escaping == "allow-utf-8":
        assert {f"g{name}" for name in gauges} <= {name for name, _ in found} | exempt(registry)


def exempt(registry: Registry) -> set[str]:
    """Return the gauges whose names another instrument's suffixes take."""
    names = [name for name, _ in registry]
    return {name for name in names if re.search(r"(_|\W)(2|total|info|sum|count|bucket)$", name)}


def test_a_layout_has_the_scheme_underscores_by_default():
    registry = Registry()
    registry.gauge("a.b")
    assert prometheus.DIALECTS["prometheus"] is TextLayout
    assert prometheus.render(registry) == prometheus.render(registry, escaping="underscores")
