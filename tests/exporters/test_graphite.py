"""A strict parser, written from the protocol's description, reads back the recorded values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import graphite
from tests.exporters.line_readers import graphite_series

NOW = 1_700_000_000_999_999_999


def page(registry, **options):
    return graphite.render(registry, **{"timestamp_ns": NOW} | options).decode()


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


def test_no_tag_is_without_a_name():
    registry = Registry()
    registry.info("build").set({"": "x"})
    assert page(registry) == "build.value;_=x 1 1700000000\n"


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


@pytest.mark.parametrize("style", ["tags", "nodes"])
@given(st.text(), st.text(min_size=1), st.text(), st.text())
def test_no_text_changes_the_structure_of_its_line(style, prefix, key, tag, label):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(label).inc(7)
    text = page(registry, namespace=prefix, tags={key: tag}, label_style=style)
    [((path, tags), value)] = graphite_series(text.encode()).items()
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
    assert list(graphite_series(page(registry).encode())) == [("a.count", (("label", text),))]
