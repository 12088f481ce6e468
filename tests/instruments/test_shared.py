"""Identity objects stay one object, whether the library runs compiled or interpreted."""

import copy
import pickle
import subprocess
import sys
import threading
from typing import Generic, TypeVar

import pytest
from dependency_injector import providers

import metrics
from metrics import (
    EWMA,
    BucketHistogram,
    Counter,
    CounterSnapshot,
    Exemplar,
    Family,
    Healthcheck,
    Meter,
    Registry,
    Snapshot,
    StateSet,
    SystemClock,
    Ticker,
    Timer,
)
from metrics.lifecycle import LifecycleContainer
from metrics.registry._entries import Entry
from metrics.registry._noop import noop
from metrics.testing import overridden

MADE_WITH = {
    BucketHistogram: ((1,),),
    EWMA: (0.5,),
    Family: (Counter, ["method"]),
    Healthcheck: (bool,),
    StateSet: (("on", "off"),),
}
FINAL = [
    kind
    for kind in (getattr(metrics, name) for name in metrics.__all__)
    if isinstance(kind, type)
    and not issubclass(kind, Exception)
    # A clock has no state, and one of a program's own may derive from it; an exemplar is a tuple.
    and kind not in {Exemplar, Snapshot, SystemClock}
    and not getattr(kind, "_is_protocol", False)
]
LIVE = [kind for kind in FINAL if not kind.__name__.endswith("Snapshot")]
T = TypeVar("T")


def named(kind):
    return kind.__name__


@pytest.fixture(params=LIVE, ids=named)
def live(request):
    return request.param(*MADE_WITH.get(request.param, ()))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_object_itself(live, copied):
    assert copied(live) is live
    assert copied([live])[0] is live


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused_with_the_remedy(live, protocol):
    name = type(live).__name__
    with pytest.raises(TypeError, match=rf"^cannot pickle {name}: .*; pickle its snapshot$"):
        pickle.dumps(live, protocol)


def test_a_no_op_is_not_pickled_either():
    with pytest.raises(TypeError, match=r"^cannot pickle Noop"):
        pickle.dumps(noop(Counter()))


def test_a_container_hands_out_the_very_instrument_it_was_given():
    given = Timer()

    class Container(LifecycleContainer):
        requests = providers.Object(given)
        pair = providers.Factory(tuple, providers.List(given))

    container = Container()
    assert container.requests() is given
    assert container.pair() == (given,)
    with overridden(container, requests=(other := Timer())):
        assert container.requests() is other


@pytest.mark.parametrize("kind", FINAL, ids=named)
def test_a_subclass_is_refused_where_it_is_defined(kind):
    with pytest.raises(TypeError, match=rf"^cannot subclass {kind.__name__} as Mine"):
        type("Mine", (kind,), {})


def test_a_subclass_is_refused_however_it_is_mixed():
    class Depth(Snapshot):
        pass

    with pytest.raises(TypeError, match=r"^cannot subclass CounterSnapshot"):
        type("Mine", (Depth, CounterSnapshot), {})


def test_an_entry_pickles_with_a_snapshot_and_not_with_an_instrument():
    read = Entry(
        "requests", CounterSnapshot(3), "Requests", "requests", (("zone", "eu"),), 5.0, Ticker()
    )
    read.owner = threading.Lock()
    twin = pickle.loads(pickle.dumps(read))
    assert (twin.name, twin.description, twin.unit) == ("requests", "Requests", "requests")
    assert (twin.labels, twin.registered) == ((("zone", "eu"),), 5.0)
    assert twin.instrument == CounterSnapshot(3)
    assert twin.ticker is twin.owner is None
    with pytest.raises(TypeError, match=r"^cannot pickle Counter"):
        pickle.dumps(Entry("requests", Counter(), "", ""))


def test_the_values_of_a_registry_go_to_another_process_and_the_instruments_stay():
    registry = Registry("app")
    registry.counter("requests", description="Requests", unit="requests").inc(3)
    registry.timers("latency", labels=("method",)).labels("GET").update(0.5)
    registry.info("build").set({"version": "1.2"})
    snapshot = registry.snapshot()
    twin = pickle.loads(pickle.dumps(snapshot))
    assert dict(twin) == dict(snapshot)
    assert list(twin) == list(snapshot)
    entry = twin.entry("app/requests")
    assert (entry.name, entry.description, entry.unit) == ("app/requests", "Requests", "requests")
    assert entry.instrument.snapshot() == CounterSnapshot(3)
    assert twin.entry("app/latency").unit == "seconds"


def test_a_snapshot_of_a_registry_is_its_own_copy():
    registry = Registry()
    registry.counter("requests")
    snapshot = registry.snapshot()
    assert copy.copy(snapshot) is copy.deepcopy(snapshot) is snapshot


def test_a_snapshot_from_elsewhere_is_registered_by_an_instrument_of_its_own():
    class Worker:
        def __init__(self, latest):
            self.latest = latest

        def snapshot(self, reader=""):
            return self.latest

    registry = Registry()
    worker = registry.register("worker", Worker(CounterSnapshot(3)))
    worker.latest = CounterSnapshot(4)
    assert registry.snapshot()["worker"] == CounterSnapshot(4)
    with pytest.raises(TypeError, match="register the instrument"):
        registry.register("other", CounterSnapshot(3))


def test_a_family_is_generic():
    assert Family[Counter].__args__ == (Counter,)
    assert type(Family[Counter](Counter, ["a"]).labels("b")) is Counter


def test_a_snapshot_of_ones_own_may_be_generic():
    class Depth(Snapshot, Generic[T]):
        fields = ("depth",)

        def __init__(self, depth):
            self.depth = depth

    assert Depth[int](3) == Depth(3)


def test_a_meter_that_is_copied_with_its_owner_is_ticked_with_it():
    ticker = Ticker()
    service = {"requests": Meter()}
    ticker.add(service["requests"])
    copy.deepcopy(service)["requests"].mark(10)
    ticker.tick()
    assert service["requests"].snapshot().rate1 == 2.0


def test_no_program_needs_the_compiler_to_run():
    hide = "import sys; sys.modules.update(mypy=None, mypyc=None)"
    use = "import metrics; metrics.Counter(); metrics.BucketHistogram((1,)).update(1)"
    subprocess.run([sys.executable, "-c", f"{hide}; {use}"], check=True)
