"""What users may rely on whether the instruments run compiled or interpreted.

Run against an installed library, this proves it for the compiled form.
"""

import gc
import inspect
import traceback
import weakref
from unittest import mock

import pytest

from metrics import (
    EWMA,
    BucketHistogram,
    Counter,
    CounterSnapshot,
    ExpDecayReservoir,
    Family,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    GaugeSnapshot,
    Healthcheck,
    Histogram,
    Info,
    IntGauge,
    Meter,
    Registry,
    ResettingReservoir,
    ResettingTimer,
    Timer,
    UniformReservoir,
    UpDownCounter,
)

MAKERS = {
    Counter: Counter,
    FloatCounter: FloatCounter,
    FloatUpDownCounter: FloatUpDownCounter,
    UpDownCounter: UpDownCounter,
    Gauge: Gauge,
    IntGauge: IntGauge,
    Info: Info,
    Meter: Meter,
    EWMA: lambda: EWMA(0.5),
    BucketHistogram: lambda: BucketHistogram((1,)),
    Histogram: Histogram,
    ExpDecayReservoir: ExpDecayReservoir,
    UniformReservoir: UniformReservoir,
    ResettingReservoir: ResettingReservoir,
    Timer: Timer,
    ResettingTimer: ResettingTimer,
    Healthcheck: lambda: Healthcheck(bool),
    Family: lambda: Family(Counter, ["a"]),
}


@pytest.fixture(params=MAKERS, ids=lambda kind: kind.__name__)
def instrument(request):
    return MAKERS[request.param]()


def test_a_type_is_named_after_where_it_is_defined(instrument):
    kind = type(instrument)
    module = inspect.getmodule(kind)
    assert getattr(module, kind.__qualname__) is kind
    assert repr(kind) == f"<class '{module.__name__}.{kind.__name__}'>"
    assert repr(instrument).startswith(kind.__name__ + "(")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Counter, {}),
        (Counter.inc, {"n": 1, "exemplar": None}),
        (Counter.snapshot, {"reader": ""}),
        (FloatCounter.inc, {"n": 1.0, "exemplar": None}),
        (UpDownCounter.dec, {"n": 1}),
        (Gauge, {"function": None}),
        (Gauge.set, {"value": inspect.Parameter.empty}),
        (Meter.mark, {"n": 1, "exemplar": None}),
        (EWMA.update, {"n": 1}),
        (Histogram, {"reservoir": None}),
        (Histogram.update, {"value": inspect.Parameter.empty}),
        (Timer.update, {"seconds": inspect.Parameter.empty, "exemplar": None}),
        (Timer.update_ns, {"ns": inspect.Parameter.empty, "exemplar": None}),
        (Timer.time, {"exemplar": None}),
        (Healthcheck.unhealthy, {"error": inspect.Parameter.empty}),
        (Healthcheck.check, {}),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_a_signature_has_the_names_and_the_defaults_of_the_parameters(function, expected):
    parameters = dict(inspect.signature(function).parameters)
    parameters.pop("self", None)
    assert {name: parameter.default for name, parameter in parameters.items()} == expected


def test_arguments_are_taken_by_name():
    counter = Counter()
    counter.inc(n=2)
    histogram = Histogram(reservoir=UniformReservoir(size=3))
    histogram.update(value=1.5)
    assert counter.snapshot(reader="me").count == 2
    assert histogram.snapshot(reader="me").values == (1.5,)
    assert Family(kind=Counter, labelnames=["a"], max_children=1).labels(a=1).count == 0


def test_wrong_arguments_are_a_type_error_that_names_the_method():
    with pytest.raises(TypeError, match=r"inc\(\)"):
        Counter().inc(1, None, 2)
    with pytest.raises(TypeError, match=r"inc\(\)"):
        Counter().inc(m=1)
    with pytest.raises(TypeError, match=r"set\(\).*'value'"):
        Gauge().set()
    with pytest.raises(TypeError, match=r"__init__\(\)"):
        Counter(1)
    with pytest.raises(TypeError, match=r"__init__\(\)"):
        Healthcheck(bool, 1.0)
    with pytest.raises(TypeError, match=r"unhealthy\(\).*'error'"):
        Healthcheck().unhealthy()


def test_a_method_is_not_called_on_something_else():
    with pytest.raises((TypeError, AttributeError), match=r"object"):
        Counter.snapshot(object())


def test_a_refusal_names_the_call_and_points_into_the_library():
    with pytest.raises(ValueError, match=r"^Counter\.inc\(\) takes .* got -1$") as caught:
        Counter().inc(-1)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames][1:] == ["inc", "natural"]
    assert frames[1].filename.endswith("counter.py")


def test_what_is_read_cannot_be_written(instrument):
    names = [
        name
        for name in ("count", "rate", "value", "error", "labelnames", "kind")
        if hasattr(instrument, name)
    ]
    assert names or isinstance(instrument, (ResettingReservoir, ResettingTimer))
    for name in names:
        with pytest.raises(AttributeError):
            setattr(instrument, name, 1)
        with pytest.raises(AttributeError):
            delattr(instrument, name)


@pytest.mark.parametrize("kind", MAKERS)
def test_an_instrument_takes_no_other_attributes_and_its_methods_stay(kind):
    instrument = MAKERS[kind]()
    with pytest.raises(AttributeError):
        instrument.unit = "seconds"
    with pytest.raises(AttributeError), mock.patch.object(instrument, "clear"):
        pass
    assert not hasattr(instrument, "__dict__")


@pytest.mark.parametrize("kind", MAKERS)
def test_there_are_no_weak_references_to_an_instrument(kind):
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(MAKERS[kind]())


def test_an_instrument_is_equal_to_itself_only(instrument):
    assert instrument == instrument  # noqa: PLR0124 - that is the point
    assert instrument != MAKERS[type(instrument)]()
    assert len({instrument, instrument, MAKERS[type(instrument)]()}) == 2


def test_a_snapshot_cannot_be_changed():
    snapshot = Timer().snapshot()
    with pytest.raises(AttributeError):
        snapshot.count = 1
    with pytest.raises(AttributeError):
        snapshot.note = 1
    with pytest.raises(TypeError, match="not supported"):
        assert snapshot < snapshot  # noqa: PLR0124 - whether there is an order


def test_a_method_can_be_replaced_on_its_type_and_is_back_afterwards(instrument):
    kind = type(instrument)
    name = "snapshot" if hasattr(kind, "snapshot") else "tick"
    with mock.patch.object(kind, name, return_value="replaced") as replaced:
        assert getattr(instrument, name)() == "replaced"
    replaced.assert_called_once_with()
    assert getattr(instrument, name)() != "replaced"


def test_a_registry_calls_what_replaced_a_method():
    registry = Registry()
    registry.register("requests", Counter())
    with mock.patch.object(Counter, "snapshot", return_value=CounterSnapshot(7)):
        assert registry.snapshot()["requests"] == CounterSnapshot(7)
    assert registry.snapshot()["requests"] == CounterSnapshot(0)


def test_a_mock_passes_for_the_type_it_is_made_of(instrument):
    kind = type(instrument)
    assert isinstance(mock.Mock(spec=kind), kind)
    with pytest.raises(AttributeError):
        mock.Mock(spec=kind).no_such_method()


def test_what_a_function_raises_comes_through_as_it_is():
    error = LookupError("no such queue")

    def depth() -> float:
        raise error

    with pytest.raises(LookupError) as caught:
        Gauge(depth).snapshot()
    assert caught.value is error
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1] == "depth"


class Owner:
    """Holds an instrument that leads back to it."""

    def read(self) -> float:
        return 1.0

    def monotonic(self) -> float:
        return 0.0

    def monotonic_ns(self) -> int:
        return 0

    time, time_ns = monotonic, monotonic_ns
    count = 0

    def update(self, value: float) -> None:
        pass

    tick = clear = snapshot = update


@pytest.mark.parametrize(
    "make",
    [
        lambda owner: Gauge(owner.read),
        lambda owner: IntGauge(owner.read),
        lambda owner: Healthcheck(owner.read),
        lambda owner: Meter(clock=owner),
        lambda owner: Timer(clock=owner),
        lambda owner: Timer(clock=owner).time(),
        Histogram,
        lambda owner: Family(Counter, ["a"], factory=owner.read),
    ],
    ids=["gauge", "int gauge", "healthcheck", "meter", "timer", "stopwatch", "histogram", "family"],
)
def test_a_cycle_through_an_instrument_is_collected(make):
    owner = Owner()
    owner.instrument = make(owner)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_equal_snapshots_hash_alike_and_differ_from_other_types():
    assert hash(CounterSnapshot(3)) == hash(CounterSnapshot(3))
    assert CounterSnapshot(3) != GaugeSnapshot(3)
    assert CounterSnapshot(3) != 3
