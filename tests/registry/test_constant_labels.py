"""Constant labels of a registry, and the labels that its families may have beside them."""

import pytest

from metrics import Counter, Family, Registry, resources
from metrics.exporters import prometheus
from metrics.registry._inner import store_of


def test_entries_have_the_constant_labels_of_their_registry_in_name_order():
    registry = Registry(labels={"zone": "eu", "app": "rpc"})
    registry.counter("hits")
    registry.child("db", labels={"shard": "1"}).counter("reads")
    assert [(entry.name, entry.labels) for entry in store_of(registry).entries()] == [
        ("db/reads", (("app", "rpc"), ("shard", "1"), ("zone", "eu"))),
        ("hits", (("app", "rpc"), ("zone", "eu"))),
    ]
    assert 'hits_total{app="rpc",zone="eu"} 0\n' in prometheus.render(registry).decode()


def test_a_registry_without_constant_labels_has_none():
    assert Registry().labels == Registry(labels={}).labels == Registry(labels=None).labels == {}


def test_the_constant_labels_of_a_registry_do_not_change():
    given = {"zone": "eu"}
    registry = Registry(labels=given)
    given["zone"] = "us"
    assert registry.labels == {"zone": "eu"}
    with pytest.raises(TypeError):
        registry.labels["zone"] = "us"


def test_a_child_adds_to_the_labels_of_its_parent_or_replaces_them():
    registry = Registry("app", labels={"zone": "eu", "app": "rpc"})
    child = registry.child("db", labels={"zone": "us", "shard": "1"})
    assert child.labels == {"app": "rpc", "shard": "1", "zone": "us"}
    assert child.child("x").labels == child.labels
    assert registry.labels == {"app": "rpc", "zone": "eu"}


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ({"a-b": "x"}, ValueError, "malformed"),
        ({"__name__": "x"}, ValueError, "malformed"),
        ({"le": "x"}, ValueError, "reserved"),
        ({"": "x"}, ValueError, "malformed"),
        ({5: "x"}, TypeError, "pass a str"),
        ({"a": 5}, TypeError, "use a str as value"),
        ({"a": None}, TypeError, "use a str as value"),
        ([("a", "x")], TypeError, "use a mapping of str to str"),
        ("a", TypeError, "use a mapping of str to str"),
    ],
)
def test_malformed_constant_labels_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        Registry(labels=labels)
    with pytest.raises(error, match=message):
        Registry().child("c", labels=labels)


@pytest.mark.parametrize(("constant", "label"), [("a.b", "a_b"), ("a_b", "a.b"), ("a.b", "a.b")])
def test_a_label_that_formats_write_like_a_constant_one_is_refused(constant: str, label: str):
    registry = Registry(labels={constant: "x"})
    with pytest.raises(ValueError, match=rf"^labels \['{label}'\] of 'x' are constant labels"):
        registry.counters("x", (label,))


def test_a_child_cannot_add_a_label_that_formats_write_like_one_of_its_parent():
    with pytest.raises(ValueError, match=r"label name 'a_b' is repeated: formats write 'a\.b'"):
        Registry(labels={"a.b": "x"}).child("c", labels={"a_b": "y"})


@pytest.mark.parametrize("enabled", [True, False])
def test_a_family_with_a_constant_label_is_refused(enabled: bool):
    registry = Registry(labels={"zone": "eu", "app": "rpc"}, enabled=enabled)
    child = registry.child("c", labels={"shard": "1"})
    message = (
        r"^labels \['shard', 'zone'\] of 'c/x' are constant labels of the registry; "
        "choose other names for the labels of the family$"
    )
    for use in (
        lambda: child.counters("x", ("shard", "method", "zone")),
        lambda: child.register("x", Family(Counter, ("zone", "shard"))),
        lambda: child.get_or_register("x", lambda: Family(Counter, ("zone", "shard"))),
        lambda: resources.counters(child, "x", ("zone", "shard")).__enter__(),
    ):
        with pytest.raises(ValueError, match=message):
            use()
    assert len(registry) == 0
    family = registry.counters("x", ("shard", "method"))
    assert family.labelnames == ("shard", "method")


def test_a_label_of_another_registry_is_no_obstacle():
    registry = Registry()
    registry.child("c", labels={"zone": "eu"})
    assert registry.counters("x", ("zone",)).labelnames == ("zone",)
