import pytest

from metrics import Info, InfoSnapshot


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
