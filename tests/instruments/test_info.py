from functools import partial
from json import loads

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from metrics import Family, Info, InfoSnapshot, Registry
from metrics.exporters import (
    csv,
    expvar,
    geth_text,
    graphite,
    influx,
    json,
    openmetrics,
    opentsdb,
    prometheus,
)


def test_facts_are_replaced_all_at_once():
    info = Info()
    info.set({"version": "1.0", "commit": "abc"})
    info.set({"version": "1.1"})
    assert info.value == {"version": "1.1"}
    assert info.snapshot() == InfoSnapshot({"version": "1.1"})
    assert info.snapshot().to_dict() == {"value": {"version": "1.1"}}


def test_what_comes_in_and_goes_out_are_copies():
    facts = {"version": "1.0"}
    info = Info()
    info.set(facts)
    snapshot = info.snapshot()
    facts["version"] = "changed"
    info.value["version"] = "changed"
    snapshot.to_dict()["value"]["version"] = "changed"
    assert info.value == {"version": "1.0"} == dict(snapshot.value)


def test_the_facts_of_a_snapshot_cannot_be_changed():
    with pytest.raises(TypeError):
        InfoSnapshot({"a": "b"}).value["a"] = "c"


@pytest.mark.parametrize(
    "wrong", [None, "version", [("a", "b")], {"version": 1}, {1: "version"}, {"a": None}]
)
def test_anything_but_text_by_text_is_refused_and_changes_nothing(wrong):
    info = Info()
    info.set({"a": "b"})
    with pytest.raises(TypeError, match="mapping of str to str"):
        info.set(wrong)
    assert info.value == {"a": "b"}


def test_the_order_of_the_facts_does_not_matter():
    one, other = InfoSnapshot({"a": "1", "b": "2"}), InfoSnapshot({"b": "2", "a": "1"})
    assert one == other
    assert hash(one) == hash(other)


def test_the_repr_shows_the_facts():
    info = Info()
    info.set({"a": "b"})
    assert repr(info) == "Info({'a': 'b'})"


@pytest.fixture
def instances():
    registry = Registry()
    family = registry.register("build", Family(Info, ("instance",)), description="Builds.")
    family.labels("b").set({"version": '1"0', "instance": "own"})
    family.labels("a").set({"version": "1.1"})
    family.labels("c")
    return registry


def test_children_are_read_like_any_instrument(instances):
    snapshot = instances.get("build").snapshot()
    assert dict(snapshot.children) == {
        ("a",): InfoSnapshot({"version": "1.1"}),
        ("b",): InfoSnapshot({"version": '1"0', "instance": "own"}),
        ("c",): InfoSnapshot({}),
    }


def test_prometheus_shows_the_labels_of_a_child_before_its_info_labels(instances):
    assert prometheus.render(instances).decode() == (
        "# HELP build_info Builds.\n# TYPE build_info gauge\n"
        'build_info{instance="b",instance_="own",version="1\\"0"} 1\n'
        'build_info{instance="a",version="1.1"} 1\n'
        'build_info{instance="c"} 1\n'
    )


def test_openmetrics_shows_children_of_type_info(instances):
    [family] = text_string_to_metric_families(openmetrics.render(instances).decode())
    assert (family.type, family.name) == ("info", "build")
    assert [sample.labels for sample in family.samples] == [
        {"instance": "b", "instance_": "own", "version": '1"0'},
        {"instance": "a", "version": "1.1"},
        {"instance": "c"},
    ]


def test_json_shows_children_under_their_labels(instances):
    assert loads(json.render(instances)) == {
        'build{instance="a"}': {"value": {"version": "1.1"}},
        'build{instance="b"}': {"value": {"version": '1"0', "instance": "own"}},
        'build{instance="c"}': {"value": {}},
    }


@pytest.mark.parametrize(
    "page",
    [
        partial(prometheus.render, dialect="go-ethereum"),
        partial(influx.render, timestamp_ns=1),
        partial(csv.render, timestamp_ns=1),
        partial(graphite.render, timestamp_ns=1),
        partial(opentsdb.render, timestamp_ns=1, host="here"),
        expvar.render,
        geth_text.render,
    ],
)
def test_every_format_shows_every_child(instances, page):
    lines = page(instances).decode().replace(",", "\n").splitlines()
    assert sum("1.1" in line for line in lines) == 1
    assert sum("build" in line for line in lines) >= 3
