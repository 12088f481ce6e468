"""The function of a registry that returns exemplars, and the instruments that it covers."""

import inspect
import sys
from textwrap import dedent

import pytest
from dependency_injector import providers
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from metrics import BucketHistogram, Counter, Exemplar, Family, Registry, Timer, resources
from metrics.lifecycle import MetricsContainer, Resource
from metrics.testing import ManualClock

LABELS = {"trace_id": "1"}
PAIRS = tuple(LABELS.items())


def exemplars(instrument):
    return [each for each in instrument.snapshot().exemplars if each is not None]


def labels(instrument):
    return [each.labels for each in exemplars(instrument)]


SHORTCUTS = {
    "counter": (lambda registry: registry.counter("name"), "inc"),
    "float_counter": (lambda registry: registry.float_counter("name"), "inc"),
    "meter": (lambda registry: registry.meter("name"), "mark"),
    "bucket_histogram": (lambda registry: registry.bucket_histogram("name", (1.0,)), "update"),
    "timer": (lambda registry: registry.timer("name"), "update"),
    "register": (lambda registry: registry.register("name", Counter()), "inc"),
    "get_or_register": (lambda registry: registry.get_or_register("name", Counter), "inc"),
    "child": (lambda registry: registry.child("longer").counter("name"), "inc"),
    "grandchild": (lambda registry: registry.child("a").child("b").timer("name"), "update"),
    "family": (lambda registry: registry.counters("name", ("a",)).labels("1"), "inc"),
    "timers": (lambda registry: registry.timers("name", ("a",)).labels("1"), "update"),
    "registered family": (
        lambda registry: registry.register(
            "name", Family(Timer, ("a",), clock=registry.clock)
        ).labels("1"),
        "update",
    ),
    "no labels": (lambda registry: registry.counters("name", ()).labels(), "inc"),
    "overflow": (
        lambda registry: [
            registry.counters("name", ("a",), max_children=1).labels(each) for each in "ab"
        ][1],
        "inc",
    ),
}


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_every_instrument_of_a_registry_has_its_exemplars(shortcut):
    new, update = SHORTCUTS[shortcut]
    clock = ManualClock()
    instrument = new(Registry(exemplars=lambda: LABELS, clock=clock))
    clock.advance(5.0)
    getattr(instrument, update)(1)
    assert exemplars(instrument) == [Exemplar(PAIRS, 1, clock.time())]


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_registry_without_a_function_leaves_exemplars_to_the_updates(shortcut):
    new, update = SHORTCUTS[shortcut]
    instrument = new(Registry())
    getattr(instrument, update)(1)
    assert exemplars(instrument) == []
    getattr(instrument, update)(1, exemplar=LABELS)
    assert labels(instrument) == [PAIRS]


def test_instruments_without_exemplars_are_registered_and_updated_as_ever():
    registry = Registry(exemplars=lambda: pytest.fail("called"))
    registry.gauge("gauge").set(1)
    registry.updown_counter("updown").inc()
    registry.histogram("histogram").update(1)
    registry.resetting_timer("resetting").update(1)
    registry.timer("sampled", sampled=True).update(1)
    registry.gauges("gauges", ("a",)).labels("1").set(1)
    registry.info("info").set({"a": "1"})
    registry.register("own", Own())
    registry.register("own family", Family(Own, ("a",))).labels("1")
    for name in registry.names():
        assert registry.unregister(name)


class Own:
    """An instrument of a program, with a method of the name that the library uses."""

    def snapshot(self, reader=""):
        return Counter().snapshot()

    def _attach(self, source):
        raise AssertionError(source)

    _detach = _attach


def test_children_that_a_family_has_before_its_registration_are_covered():
    family = Family(BucketHistogram, ("a",), lambda: BucketHistogram((1.0,)), max_children=1)
    early, overflow = family.labels("1"), family.labels("2")
    Registry(exemplars=lambda: LABELS).register("name", family)
    for child in (early, overflow):
        child.update(0.5)
        assert labels(child) == [PAIRS]


def test_an_unregistered_instrument_keeps_its_exemplars_and_takes_no_more():
    now = LABELS
    registry = Registry(exemplars=lambda: now)
    counter = registry.counter("counter")
    family = registry.counters("family", ("a",))
    child = family.labels("1")
    for each in (counter, child):
        each.inc()
    registry.unregister("counter")
    registry.clear()
    now = {"trace_id": "2"}
    for each in (counter, child):
        each.inc()
        assert labels(each) == [PAIRS]
        each.inc(exemplar=now)
        assert labels(each) == [tuple(now.items())]
    late = family.labels("2")
    late.inc()
    assert labels(late) == []


def test_an_instrument_with_a_second_name_is_covered_until_it_has_none():
    registry = Registry(exemplars=lambda: LABELS)
    counter = registry.counter("first")
    registry.register("second", counter)
    registry.unregister("first")
    counter.inc()
    assert labels(counter) == [PAIRS]
    registry.unregister("second")
    counter.clear()
    counter.inc()
    assert labels(counter) == []


def test_the_last_registry_of_an_instrument_provides_its_exemplars():
    first = Registry(exemplars=lambda: {"from": "first"})
    second = Registry(exemplars=lambda: {"from": "second"})
    counter = second.register("name", first.counter("name"))
    counter.inc()
    assert labels(counter) == [(("from", "second"),)]
    first.unregister("name")
    counter.inc()
    assert labels(counter) == [(("from", "second"),)]


def test_a_name_that_is_taken_covers_no_instrument():
    registry = Registry(exemplars=lambda: LABELS)
    registry.counter("name")
    counter = Counter()
    with pytest.raises(ValueError, match="already registered"):
        registry.register("name", counter)
    counter.inc()
    assert labels(counter) == []


def test_a_disabled_registry_ignores_exemplars():
    registry = Registry(exemplars=lambda: pytest.fail("called"), enabled=False)
    registry.counter("counter").inc(exemplar=LABELS)
    registry.meters("meters", ("a",)).labels("1").mark(1, exemplar=LABELS)
    timer = registry.timer("timer")
    timer.update(1.0, exemplar=LABELS)
    timer.update_since(1.0, exemplar=LABELS)
    with timer.time(exemplar=LABELS):
        pass
    assert timer.snapshot().exemplars == ()


def test_the_function_is_the_registrys_and_its_childrens():
    def function():
        return None

    registry = Registry(exemplars=function)
    assert registry.exemplars is registry.child("child").exemplars is function
    assert Registry().exemplars is None
    with pytest.raises(TypeError, match=r"^invalid exemplars \{\}: pass a function"):
        Registry(exemplars={})


def test_a_registry_logs_one_failure_for_all_its_instruments(caplog):
    registry = Registry(exemplars=lambda: 1 / 0)
    for name in "abc":
        registry.counter(name).inc()
        registry.child("child").timer(name).update(1.0)
    (record,) = caplog.records
    assert "ZeroDivisionError" in record.getMessage()


def test_the_hook_of_a_registry_takes_the_function():
    with (
        resources.registry(exemplars=lambda: LABELS) as registry,
        resources.counters(registry, "name", ("a",)) as family,
    ):
        family.labels("1").inc()
        assert labels(family.labels("1")) == [PAIRS]


def test_a_container_takes_the_provider_of_the_function():
    class Container(MetricsContainer):
        requests = Resource(resources.counter, MetricsContainer.registry, "requests")

    assert Container.exemplars() is None
    container = Container(exemplars=providers.Object(lambda: LABELS))
    container.init_resources()
    try:
        container.requests().inc()
        assert labels(container.requests()) == [PAIRS]
    finally:
        container.shutdown_resources()


def test_a_labelled_counter_needs_no_memory_for_exemplars():
    # Compiled, each further field takes 8 bytes; 160 bytes for a labelled counter are the limit.
    used = sys.getsizeof(Counter())
    assert used <= 64, used


# The example in the documentation.


@pytest.fixture
def current_span():
    documentation = inspect.cleandoc(Registry.__doc__)
    start = documentation.index("    from opentelemetry")
    lines = dedent(documentation[start : documentation.index("registry = Registry")])
    namespace = {}
    exec(lines, namespace)
    return namespace["current_span"]


def test_the_current_span_of_opentelemetry_is_an_exemplar(current_span):
    tracer = TracerProvider(sampler=ALWAYS_ON).get_tracer("tests")
    timer = Registry(exemplars=current_span).timer("duration")
    timer.update(0.5)
    assert labels(timer) == []
    with tracer.start_as_current_span("request") as span, timer.time():
        pass
    context = span.get_span_context()
    assert labels(timer) == [
        (
            ("trace_id", f"{context.trace_id:032x}"),
            ("span_id", f"{context.span_id:016x}"),
        )
    ]


def test_a_span_that_is_not_sampled_is_no_exemplar(current_span):
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("tests")
    counter = Registry(exemplars=current_span).counter("requests")
    with tracer.start_as_current_span("request"):
        counter.inc()
    assert labels(counter) == []
