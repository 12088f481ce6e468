"""An assertion about a recording says what was asked, what was got, and what else changed."""

import contextvars
import threading

import pytest

from metrics import Registry, Snapshot
from metrics.testing import assert_recorded, recorded


@pytest.fixture
def registry():
    registry = Registry()
    registry.counter("rpc/requests")
    registry.histogram("rpc/sizes")
    registry.counters("http", labels=("method",))
    return registry


def test_what_is_as_asked_passes(registry):
    with recorded(registry) as changes:
        assert_recorded("rpc/requests", count=0)
        registry.counter("rpc/requests").inc(3)
        registry.histogram("rpc/sizes").update(0.1)
        registry.histogram("rpc/sizes").update(0.2)
        registry.counters("http", labels=("method",)).labels("GET").inc()
        assert_recorded("rpc/requests", count=3)
        assert_recorded("rpc/requests")
        assert_recorded("rpc/sizes", values=[0.1, 0.2], sum=pytest.approx(0.3), count=2)
        assert_recorded("rpc/sizes", values=(0.1, 0.2))
        assert_recorded("rpc/sizes", values=pytest.approx([0.1, 0.2]))
        assert_recorded("http", count=1)
        assert_recorded("http", {"method": "GET"}, count=1)
        assert_recorded("http", {"method": "PUT"}, count=0)
    changes.assert_recorded("rpc/requests", count=3)


def message(changes, *asked, **expected):
    with pytest.raises(AssertionError) as caught:
        changes.assert_recorded(*asked, **expected)
    return str(caught.value)


def test_a_failure_shows_what_was_asked_and_got_and_what_else_changed(registry):
    with recorded(registry) as changes:
        registry.counter("rpc/requests").inc(2)
        registry.histogram("rpc/sizes").update(1)
        registry.counters("http", labels=("method",)).labels("GET").inc()
        registry.counters("http", labels=("method",)).labels("PUT").inc()
    assert message(changes, "rpc/sizes", count=3, sum=1.0, values=[2.0]) == (
        "'rpc/sizes' was not recorded as expected:\n"
        "  count: expected 3, got 1\n"
        "  values: expected [2.0], got [1.0]\n"
        "other changes:\n"
        '  http{method="GET"}: count=1\n'
        '  http{method="PUT"}: count=1\n'
        "  rpc/requests: count=2"
    )
    assert message(changes, "http", {"method": "GET"}, count=5) == (
        "'http' with method='GET' was not recorded as expected:\n"
        "  count: expected 5, got 1\n"
        "other changes:\n"
        '  http{method="PUT"}: count=1\n'
        "  rpc/requests: count=2\n"
        "  rpc/sizes: count=1, sum=1.0, values=(1.0,)"
    )
    assert "http{" not in message(changes, "http", count=1)


def test_a_failure_says_that_nothing_changed(registry):
    with recorded(registry) as changes:
        pass
    assert message(changes, "rpc/requests") == "'rpc/requests' did not change\nnothing else changed"
    assert message(changes, "http", {"method": "GET"}, count=1).startswith("'http' with method=")


def test_a_long_list_of_what_else_changed_is_cut(registry):
    with recorded(registry) as changes:
        for number in range(30):
            registry.counter(f"c{number:02}").inc()
    lines = message(changes, "rpc/requests", count=1).splitlines()
    assert lines[-2:] == ["  c19: count=1", "  and 10 more"]


def test_what_an_instrument_does_not_have_cannot_be_asked_for(registry):
    with recorded(registry) as changes:
        pass
    with pytest.raises(TypeError, match=r"^'rpc/requests': the change of a Counter has no 'cuont'"):
        changes.assert_recorded("rpc/requests", cuont=3)
    with pytest.raises(KeyError, match="did you mean 'rpc/requests'"):
        changes.assert_recorded("rpc/request", count=3)


def test_an_instrument_of_a_programs_own_has_the_fields_of_its_snapshot():
    class LevelSnapshot(Snapshot):
        __slots__ = ("level",)
        fields = ("level",)

        def __init__(self, level) -> None:
            self.level = level

    class Level:
        level = 1

        def snapshot(self, reader=""):
            return LevelSnapshot(self.level)

    registry = Registry()
    level = registry.register("level", Level())
    with recorded(registry) as changes:
        assert list(changes) == []
        level.level = 2
    assert changes.to_dict() == {"level": {"level": 2}}
    changes.assert_recorded("level", level=2)


def test_the_innermost_block_that_is_open_is_meant(registry):
    counter = registry.counter("rpc/requests")
    with recorded(registry):
        counter.inc()
        with recorded(registry):
            counter.inc()
            assert_recorded("rpc/requests", count=1)
        assert_recorded("rpc/requests", count=2)


def test_outside_of_any_block_there_is_nothing_to_assert(registry):
    with recorded(registry):
        pass
    with pytest.raises(RuntimeError, match="no `recorded` block is open here"):
        assert_recorded("rpc/requests", count=0)


def test_where_the_context_does_not_tell_the_only_open_block_is_meant_and_none_of_several(registry):
    outcomes = []

    def elsewhere() -> None:
        try:
            assert_recorded("rpc/requests", count=0)
            outcomes.append("passed")
        except RuntimeError as error:
            outcomes.append(str(error).partition(" here;")[0])

    def run_elsewhere() -> None:
        thread = threading.Thread(target=contextvars.Context().run, args=(elsewhere,))
        thread.start()
        thread.join()

    with recorded(registry):
        run_elsewhere()
        with recorded(registry):
            run_elsewhere()
    assert outcomes == [
        "passed",
        "assert_recorded() means the block that it is called in, and 2 `recorded` blocks are open",
    ]


def test_a_recording_and_its_changes_say_what_they_are(registry):
    with recorded(registry) as changes:
        assert repr(changes) == "<Changes none>"
        registry.counter("rpc/requests").inc()
        registry.counters("http", labels=("method",)).labels("GET").inc()
    assert repr(changes) == '<Changes http{method="GET"}: count=1; rpc/requests: count=1>'
    assert repr(changes["rpc/requests"]) == "<Change count=1>"
    assert repr(changes["http"]) == "<FamilyChange of 1 children, count=1>"
    assert "count" in dir(changes["rpc/requests"])


def test_what_is_no_key_and_what_are_no_labels_is_said_in_words():
    registry = Registry()
    registry.counters("x", labels=("region",))
    with recorded(registry) as changes:
        for key in ((), ("x", "eu"), ("x", {}, 1), 3, (1, {})):
            with pytest.raises(
                TypeError, match=r"takes a name, or a name and a dict of labels, got"
            ):
                changes[key]
        with pytest.raises(
            TypeError, match=r"labels as a dict, got 1; .* assert_recorded\('x', co"
        ):
            assert_recorded("x", 1)


def test_a_tuple_that_was_asked_for_is_shown_as_one():
    registry = Registry()
    with recorded(registry) as changes:
        registry.histogram("x").update(1)
        changes.assert_recorded("x", values=(1.0,))
        assert "values: expected (2,), got (1.0,)" in message(changes, "x", values=(2,))
        assert repr(changes["x"]) == "<Change count=1, sum=1.0, values=(1.0,)>"


@pytest.mark.parametrize(
    ("arguments", "expected", "text"),
    [
        (("rpc/requests",), {"count": 1}, "changes.assert_recorded('rpc/requests', count=1)"),
        (("http", {"method": "GET"}), {}, "changes.assert_recorded('http', {'method': 'GET'})"),
        ((), {}, "changes.assert_recorded()"),
    ],
)
def test_who_passes_the_changes_reads_what_to_write(registry, arguments, expected, text):
    with recorded(registry) as changes:
        for _ in range(2):
            with pytest.raises(TypeError) as caught:
                assert_recorded(changes, *arguments, **expected)
            assert str(caught.value) == (
                f"assert_recorded() takes the name of an instrument, got a Changes; write {text}"
            )


def test_who_asserts_after_the_block_reads_what_to_write(registry):
    with recorded(registry):
        pass
    for arguments, text in (
        (("rpc/requests",), "changes.assert_recorded('rpc/requests', count=1)"),
        (
            ("http", {"method": "GET"}),
            "changes.assert_recorded('http', {'method': 'GET'}, count=1)",
        ),
    ):
        with pytest.raises(RuntimeError) as caught:
            assert_recorded(*arguments, count=1)
        assert f"no `recorded` block is open here; write {text}, with" in str(caught.value)


def test_a_third_argument_is_refused_in_words(registry):
    with (
        recorded(registry),
        pytest.raises(TypeError, match=r"got 3 as well; .*, as in assert_recorded\('x', count=1\)"),
    ):
        assert_recorded("x", {}, 3)
