"""A name that was never registered has counted nothing, unless it is a misspelt one."""

import pytest

from metrics import Registry
from metrics.testing import recorded
from metrics.testing.recording._changes import similar_names


@pytest.fixture(params=["", "shop"])
def registry(request):
    return Registry(request.param)


def test_an_error_that_never_happened_was_counted_no_times(registry):
    registry.counter("rpc/requests").inc()
    with recorded(registry) as changes:
        assert changes["rpc/errors"].count == 0
    errors = changes["rpc/errors"]
    assert (errors.count, errors.sum, errors.values, errors.changed) == (0, 0.0, [], False)
    assert errors.percentile(0.9) == 0.0
    assert errors.to_dict() == {"count": 0, "sum": 0.0, "values": []}
    assert repr(errors) == "<Unregistered 'rpc/errors'>"
    assert "rpc/errors" not in changes
    changes.assert_recorded("rpc/errors", count=0)
    changes.assert_recorded("rpc/errors", values=[], sum=0)


@pytest.mark.parametrize(
    "read",
    [
        lambda changes: changes["errors", {"kind": "io"}],
        lambda changes: changes["errors"]["io"],
        lambda changes: changes["errors"]["io", "eu"],
        lambda changes: changes["errors"].labels(kind="io"),
        lambda changes: changes['errors{kind="io"}'],
    ],
)
def test_with_labels_it_has_counted_nothing_either(registry, read):
    with recorded(registry) as changes:
        assert read(changes).count == 0
    assert read(changes).count == 0
    changes.assert_recorded("errors", {"kind": "io"}, count=0)


def test_an_assertion_that_it_was_recorded_fails(registry):
    with recorded(registry) as changes:
        registry.counter("other").inc()
    for expected, lines in (
        ({}, []),
        ({"count": 1}, ["  count: expected 1, got 0"]),
        ({"value": 1.0}, ["  value: expected 1.0, got none"]),
    ):
        with pytest.raises(AssertionError) as caught:
            changes.assert_recorded("errors", **expected)
        heading, *rest = str(caught.value).splitlines()
        assert heading == "'errors' was never registered" + (":" if expected else "")
        assert rest == [*lines, "other changes:", f"  {registry.prefix}other: count=1"]


def test_it_has_no_value_because_there_is_no_gauge(registry):
    with recorded(registry) as changes:
        pass
    with pytest.raises(AttributeError, match=r"^'depth' was never registered, .* no 'value'; it"):
        changes["depth"].value  # noqa: B018 - it raises


def test_it_is_another_change_once_it_is_registered(registry):
    with recorded(registry) as changes:
        assert changes["errors"].count == 0
        registry.counter("errors").inc(2)
        assert changes["errors"].count == 2
    assert changes["errors"].count == 2


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("rpc/reqests", "rpc/requests"),
        ("rpc/request", "rpc/requests"),
        ("rcp/requests", "rcpp/requests"),
        ("requests", "rpc/requests"),
        ("http/requests", "rpc/http/requests"),
        ("rpc.requests", "rpc/requests"),
        ("rpc_requests", "rpc/requests"),
        ("rpcrequests", "rpc/requests"),
        ("RPC/Requests", "rpc/requests"),
        ("cache/hit", "cache/hits"),
        ("tiker/ticks", "ticker/ticks"),
    ],
)
def test_a_misspelt_name_is_an_error(name, known):
    registry = Registry()
    registry.counter(known)
    with (
        recorded(registry) as changes,
        pytest.raises(KeyError, match=f"no instrument '{name}' .* did you mean '{known}'"),
    ):
        changes[name]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("rpc/errors", "rpc/requests"),
        ("rpc/requests/errors", "rpc/requests"),
        ("rpc/requests", "requests"),
        ("http/requests", "rpc/requests"),
        ("responses/5xx", "responses/4xx"),
        ("responses_500", "responses_200"),
        ("shard11/size", "shard12/size"),
        ("cache/misses", "cache/hits"),
        ("disconnects", "connects"),
        ("unlocked", "locked"),
        ("sets", "gets"),
        ("écrits", "lus"),
        ("***", "+++"),
    ],
)
def test_another_name_is_none(name, known):
    assert similar_names(name, [known]) == []


def test_a_child_s_text_with_labels_that_it_never_had_is_an_error():
    registry = Registry()
    registry.counters("http", labels=("method",)).labels("GET")
    with recorded(registry) as changes, pytest.raises(KeyError, match="did you mean"):
        changes['http{method="PUT"}']
