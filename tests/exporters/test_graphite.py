"""A strict parser, written from the protocol's description, reads back the recorded values."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import graphite

NOW = 1_700_000_000_999_999_999


def page(registry, **options):
    return graphite.render(registry, **{"timestamp_ns": NOW} | options).decode()


def parsed(text):
    """Split lines as the server does: by any white space, then at semicolons."""
    found = {}
    assert text.endswith("\n") or not text
    for line in text.split("\n")[:-1]:
        words = line.split()
        assert len(words) == 3, f"{line!r} has not three words"
        path, *tags = words[0].split(";")
        assert re.fullmatch(r"\d{10}", words[2])
        assert re.fullmatch(r"-?\d+(\.\d+)?", words[1])
        assert all(node and all(c.isalnum() or c in "-_" for c in node) for node in path.split("."))
        pairs = [tuple(tag.split("=", 1)) for tag in tags]
        for name, value in pairs:
            assert name not in {"", "name"}
            assert not re.search("[;!^=~]", name)
            assert re.match("[^~]", value)
        assert len(dict(pairs)) == len(pairs)
        found[path, tuple(pairs)] = float(words[1])
    return found


def small() -> Registry:
    registry = Registry("chain")
    registry.counter("inserts").inc(3)
    registry.gauges("load.1m", labels=("core", "kind")).labels("0", "a.b/c").set(-0.5)
    registry.info("build").set({"version": "1.2", "flags": "-a -b"})
    registry.healthcheck("db", lambda: None)
    registry.resetting_timer("pause").update(0.001)
    return registry


PAUSE = "".join(
    [
        f"geth.chain.pause.{field} 1700000000\n"
        for field in (
            "count 1",
            "min 1.0",
            "max 1.0",
            "mean 1.0",
            "std-dev 0.0",
            "50-percentile 1.0",
            "75-percentile 1.0",
            "95-percentile 1.0",
            "99-percentile 1.0",
            "999-percentile 1.0",
        )
    ]
)


def test_labels_and_info_labels_are_tags():
    assert page(small(), namespace="geth") == (
        "geth.chain.build.value;flags=-a_-b;version=1.2 1 1700000000\n"
        "geth.chain.db.value 1 1700000000\n"
        "geth.chain.inserts.count 3 1700000000\n"
        "geth.chain.load.1m.value;core=0;kind=a.b/c -0.5 1700000000\n" + PAUSE
    )


def test_no_path_ends_like_a_name_of_openmetrics_which_carbon_refuses():
    registry = Registry()
    registry.counters("hits", labels=("q",)).labels('{"a":"b"}').inc()
    assert page(registry) == 'hits.count;q={"a":"b"_ 1 1700000000\n'


def test_labels_are_nodes_without_tags_and_info_labels_are_left_out():
    assert page(small(), namespace="geth", label_style="nodes") == (
        "geth.chain.db.value 1 1700000000\n"
        "geth.chain.inserts.count 3 1700000000\n"
        "geth.chain.load.1m.core.0.kind.a_b_c.value -0.5 1700000000\n" + PAUSE
    )


def test_meters_timers_and_histograms_have_go_ethereums_fields():
    registry = Registry()
    registry.meter("a").mark()
    registry.timer("b", sampled=True).update(1)
    registry.bucket_histogram("c", bounds=(1, 2)).update(1.5)
    statistics = ["count", "min", "max", "mean", "std-dev"]
    percentiles = [f"{p}-percentile" for p in (50, 75, 95, 99, 999)]
    rates = ["one-minute", "five-minute", "fifteen-minute"]
    fields = {
        "a": ["count", *rates, "mean"],
        "b": [*statistics, *percentiles, *rates, "mean-rate"],
        "c": [*statistics, *percentiles],
    }
    assert [path for path, _ in parsed(page(registry))] == [
        f"{name}.{field}" for name in fields for field in fields[name]
    ]


def test_a_label_takes_the_place_of_a_tag_in_both_styles():
    registry = Registry()
    registry.counters("a", labels=("host",)).labels("b").inc()
    registry.counters("c", labels=("host",)).labels("").inc()
    tags = {"host": "h", "dc": "x"}
    assert page(registry, tags=tags) == (
        "a.count;dc=x;host=b 1 1700000000\nc.count;dc=x;host=h 1 1700000000\n"
    )
    assert page(registry, tags=tags, label_style="nodes") == (
        "a.dc.x.host.b.count 1 1700000000\nc.dc.x.host._.count 1 1700000000\n"
    )


def test_the_tag_of_the_path_is_reserved():
    registry = Registry()
    registry.counters("a", labels=("name",)).labels("x").inc()
    assert page(registry) == "a.count;name_=x 1 1700000000\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [("~a~", "_a~"), ("a b\tc\nd", "a_b_c_d"), ("a;b=c", "a_b=c"), ("a\u2028b", "a_b"), ("é", "é")],
)
def test_characters_that_a_tag_cannot_have_are_underscores(value, written):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(value).inc()
    assert page(registry) == f"a.count;label={written} 1 1700000000\n"


def test_nan_and_infinities_are_left_out():
    registry = Registry()
    registry.gauge("a").set(math.nan)
    registry.gauge("b").set(math.inf)
    assert page(registry) == ""


@pytest.mark.parametrize("style", ["tags", "nodes"])
@given(st.text(), st.text(min_size=1), st.text(), st.text())
def test_no_text_changes_the_structure_of_its_line(style, prefix, key, tag, label):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(label).inc(7)
    text = page(registry, namespace=prefix, tags={key: tag}, label_style=style)
    [((path, tags), value)] = parsed(text).items()
    assert value == 7
    assert path.endswith("count")
    if style == "tags":
        expected = {key: tag} | ({"label": label} if label else {})
        assert len(tags) == sum(bool(value) for value in expected.values())


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1))
def test_printable_text_without_semicolons_reads_back(text):
    text = text.replace(";", ".") + "."
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(text).inc()
    assert list(parsed(page(registry))) == [("a.count", (("label", text),))]


def test_a_large_registry_comes_in_chunks_of_whole_lines():
    registry = Registry()
    family = registry.counters("a", labels=("n",), max_children=5000)
    for n in range(5000):
        family.labels(f"{n:020}").inc()
    chunks = list(graphite.stream(registry, timestamp_ns=NOW))
    assert len(chunks) > 3
    assert all(chunk.endswith(b"\n") and len(chunk) < 40_000 for chunk in chunks)
    assert len(parsed(b"".join(chunks).decode())) == 5000


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timestamp_ns": None}, TypeError),
        ({"namespace": None}, TypeError),
        ({"tags": {"": "x"}}, ValueError),
        ({"label_style": "dots"}, ValueError),
        ({"duration_unit": "hours"}, ValueError),
    ],
)
def test_options_are_checked_before_the_first_chunk(options, error):
    with pytest.raises(error, match=r"timestamp_ns|namespace|tag|label_style|duration_unit"):
        graphite.stream(Registry(), **{"timestamp_ns": NOW} | options)
