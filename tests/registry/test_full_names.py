"""Full names begin with the prefix of the registry, and malformed names are refused."""

import pytest

from metrics import (
    Counter,
    DuplicateMetricError,
    Registry,
)


@pytest.mark.parametrize(
    ("prefix", "full"),
    [
        ("", "requests"),
        ("rpc", "rpc/requests"),
        ("rpc/", "rpc/requests"),
        ("rpc.", "rpc.requests"),
        ("rpc_", "rpc_requests"),
        ("rpc-", "rpc-requests"),
        ("rpc:", "rpc:requests"),
        ("a/b", "a/b/requests"),
    ],
)
def test_every_name_begins_with_the_prefix(prefix: str, full: str):
    registry = Registry(prefix)
    counter = registry.counter("requests")
    assert registry.names() == (full,)
    assert registry.prefix + "requests" == full
    assert registry.get("requests") is counter
    assert full == "requests" or registry.get(full) is None


def test_children_share_the_names_of_their_parent():
    root = Registry("app")
    rpc = root.child("rpc")
    http = rpc.child("http.")
    counter = http.counter("requests")
    root.counter("rpc.")
    assert http.prefix == "app/rpc/http."
    assert root.names() == ("app/rpc.", "app/rpc/http.requests")
    assert rpc.names() == http.names() == ("app/rpc/http.requests",)
    assert root.get("rpc/http.requests") is counter
    assert root.child("rpc").child("http.").get("requests") is counter
    with pytest.raises(DuplicateMetricError):
        root.register("rpc/http.requests", Counter())


def test_a_child_of_a_registry_without_prefix():
    root = Registry()
    root.child("a").counter("x")
    root.counter("ab")
    assert root.names() == ("a/x", "ab")
    assert root.child("a").names() == ("a/x",)


def test_iteration_and_length_are_those_of_the_names_under_the_prefix():
    root = Registry()
    b, a = root.counter("b"), root.gauge("a")
    child = root.child("c")
    c = child.meter("m")
    assert list(root) == [("a", a), ("b", b), ("c/m", c)]
    assert list(child) == [("c/m", c)]
    assert (len(root), len(child)) == (3, 1)
    assert repr(child) == "<Registry 'c/', 1 instruments>"


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\x00", "\t"])
@pytest.mark.parametrize(
    "use",
    [
        lambda registry, name: registry.register(name, Counter()),
        lambda registry, name: registry.counter(name),
        lambda registry, name: registry.get_or_register(name, Counter),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_a_malformed_name_is_refused(use, name: str, enabled):
    registry = Registry(enabled=enabled)
    with pytest.raises(ValueError, match=r"^invalid name .*: use printable characters") as raised:
        use(registry, name)
    assert repr(name) in str(raised.value)
    assert len(registry) == 0


@pytest.mark.parametrize("name", [None, 5, b"a"])
def test_a_name_that_is_no_str_is_refused(name):
    with pytest.raises(TypeError, match=r"^invalid name .* \(.*\): use a str$"):
        Registry().counter(name)


@pytest.mark.parametrize("prefix", [" a", "a\n"])
def test_a_malformed_prefix_is_refused(prefix: str):
    with pytest.raises(ValueError, match=r"^invalid prefix .*: use printable characters"):
        Registry(prefix)
    with pytest.raises(ValueError, match=r"^invalid prefix .*: use printable characters"):
        Registry().child(prefix)


def test_a_prefix_that_is_no_str_or_is_empty_in_a_child_is_refused():
    with pytest.raises(TypeError, match=r"^invalid prefix 5 \(int\): use a str$"):
        Registry(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="invalid prefix ''"):
        Registry().child("")
