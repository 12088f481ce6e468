"""No-ops pass for the instruments of a disabled registry, and ignore every update."""

import copy
import inspect

import pytest

import metrics
from metrics.registry._inner import KINDS, is_ticking
from metrics.registry._noop import UPDATES, noop
from metrics.registry._shortcuts import TABLE

MAKERS = {
    metrics.BucketHistogram: lambda: metrics.BucketHistogram((1,)),
    metrics.Counter: metrics.Counter,
    metrics.StateSet: lambda: metrics.StateSet(("on", "off")),
    metrics.ExpDecayReservoir: metrics.ExpDecayReservoir,
    metrics.Family: lambda: metrics.Family(metrics.Counter, ("peer",)),
    metrics.FloatCounter: metrics.FloatCounter,
    metrics.FloatUpDownCounter: metrics.FloatUpDownCounter,
    metrics.Gauge: metrics.Gauge,
    metrics.Healthcheck: lambda: metrics.Healthcheck(lambda: True),
    metrics.Histogram: metrics.Histogram,
    metrics.Info: metrics.Info,
    metrics.IntGauge: metrics.IntGauge,
    metrics.Meter: metrics.Meter,
    metrics.ResettingReservoir: metrics.ResettingReservoir,
    metrics.ResettingTimer: metrics.ResettingTimer,
    metrics.Timer: metrics.Timer,
    metrics.UniformReservoir: metrics.UniformReservoir,
    metrics.UpDownCounter: metrics.UpDownCounter,
}
# A check runs when it is requested, disabled or not; the others only read.
READING = {"check", "children", "prototype", "snapshot"}
ARGUMENTS = {"timed": (print,), "time": (), "labels": ("a",), "remove": ("a",)}


def updating_methods(kind):
    return [
        name
        for name, member in inspect.getmembers(kind)
        if not name.startswith("_") and callable(member) and name not in READING
    ]


METHODS = [(kind, name) for kind in MAKERS for name in updating_methods(kind)]


def test_every_instrument_is_among_those_tried():
    public = [getattr(metrics, name) for name in metrics.__all__]
    readable = {kind for kind in public if hasattr(kind, "snapshot")}
    instruments = {kind for kind in readable if not issubclass(kind, metrics.Snapshot)}
    assert instruments - {metrics.Instrument, metrics.Registry} == MAKERS.keys()


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_every_updating_method_is_without_effect(kind, name):
    instrument = MAKERS[kind]()
    stand_in = noop(instrument)
    method = getattr(stand_in, name)
    assert getattr(method, "__self__", None) is stand_in, f"{name} goes through to {instrument!r}"
    before = repr(instrument)
    method(*ARGUMENTS.get(name, (7,)))
    assert repr(instrument) == before


@pytest.mark.parametrize("kind", MAKERS)
def test_a_stand_in_passes_for_the_instrument(kind):
    stand_in = noop(MAKERS[kind]())
    assert isinstance(stand_in, kind)
    assert repr(stand_in).startswith(f"<no-op {kind.__name__}(")
    assert copy.copy(stand_in) is copy.deepcopy(stand_in) is stand_in


@pytest.mark.parametrize("kind", MAKERS)
def test_a_stand_in_is_read_as_an_unused_instrument(kind):
    instrument = MAKERS[kind]()
    assert type(noop(instrument).snapshot("reader")) is type(instrument.snapshot())


@pytest.mark.parametrize("kind", [row.instrument for row in TABLE])
def test_the_updates_of_a_kind_are_its_public_methods_that_change_it(kind):
    others = READING | {"time", "timed", "track_inprogress", "count_exceptions"}
    methods = set(updating_methods(kind)) - others
    assert set(KINDS[kind].updates) == methods


@pytest.mark.parametrize("kind", [row.instrument for row in TABLE])
def test_a_stand_in_has_the_methods_of_its_kind_and_no_others(kind):
    stand_in = noop(MAKERS[kind]())
    for update in UPDATES - set(KINDS[kind].updates):
        assert not hasattr(stand_in, update)
    assert is_ticking(stand_in) is hasattr(kind, "tick")


def test_a_foreign_instrument_ignores_the_updates_of_all_kinds():
    class Depth:
        def __init__(self):
            self.updates = []

        def inc(self):
            self.updates.append("inc")

        def mark(self):
            self.updates.append("mark")

        def snapshot(self, reader=""):
            return metrics.Gauge().snapshot(reader)

    depth = Depth()
    stand_in = noop(depth)
    stand_in.inc()
    stand_in.mark()
    assert depth.updates == []
    assert isinstance(stand_in, Depth)


def test_wrong_arguments_are_ignored_like_right_ones():
    counter = noop(metrics.Counter())
    counter.inc("x")
    counter.inc(n=-1)
    assert counter.count == 0


def test_an_attribute_that_the_instrument_does_not_have_is_an_error():
    with pytest.raises(AttributeError):
        noop(metrics.Counter()).no_such_thing  # noqa: B018 - the access is the test


@pytest.mark.parametrize("kind", [metrics.Timer, metrics.ResettingTimer])
def test_blocks_and_functions_run_untimed(kind):
    timer = noop(kind())

    def work():
        return 1

    assert timer.timed(work) is work
    with timer.time(), timer.time():
        pass
    with pytest.raises(LookupError), timer.time():
        raise LookupError
    assert timer.count == 0


def test_all_children_of_a_family_are_one_stand_in():
    family = noop(metrics.Family(metrics.Counter, ("peer",)))
    child = family.labels("a")
    assert child is family.labels(peer="b")
    assert isinstance(child, metrics.Counter)
    child.inc()
    assert child.count == 0
    assert family.remove("a") is False
    assert family.remove_matching(peer="a") == 0
    assert family.children() == {}
