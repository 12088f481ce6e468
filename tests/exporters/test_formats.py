"""Behaviour that all formats have in common."""

import inspect
import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Family, Gauge, Registry
from metrics.testing import ManualClock
from tests.exporters import examples
from tests.exporters.examples import names, numbers, texts
from tests.exporters.formats import FORMATS, REGISTRIES, Format, each_format
from tests.exporters.generated import generate

GENERATED = 30
"""Number of generated registries."""


@each_format()
def test_render_has_the_options_of_stream_and_returns_bytes(of: Format):
    render, stream = (inspect.signature(each) for each in (of.module.render, of.module.stream))
    assert render.parameters == stream.parameters
    assert render.return_annotation is bytes
    assert of.module.render.__name__ == "render"
    assert of.module.render.__module__ == of.module.stream.__module__
    assert "stream" in of.module.render.__doc__
    assert "Args:" in of.module.stream.__doc__


@each_format()
def test_every_option_is_described_and_a_keyword(of: Format):
    registry, *options = inspect.signature(of.module.stream).parameters.values()
    assert registry.name == "registry"
    for option in options:
        assert option.kind is inspect.Parameter.KEYWORD_ONLY
        assert f"\n    {option.name}: " in inspect.getdoc(of.module.stream)


@each_format(lambda of: of.pages)
@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_instrument_number_and_text_is_written_as_expected(of: Format, registry):
    page = of.render(registry())
    assert page == of.expected(registry.__name__)
    of.read(page)


@each_format()
def test_an_empty_registry_is_an_empty_page(of: Format):
    assert of.render(Registry()) == of.empty
    assert of.render(Registry(enabled=False)) == of.empty


@each_format()
def test_a_large_registry_comes_in_chunks(of: Format):
    chunks = list(of.stream(examples.large()))
    assert len(chunks) > 1
    assert all(0 < len(chunk) < of.chunk for chunk in chunks)
    if of.is_lines:
        assert all(chunk.endswith(b"\n") for chunk in chunks)
        assert b"".join(chunks) == of.render(examples.large())
        found = set(b"".join(chunks).splitlines())
        assert len([line for line in found if b"%020d" % 2999 in line]) == 1
    of.read(of.render(examples.large()))


@each_format()
def test_instruments_are_read_as_the_chunks_are_taken(of: Format):
    def chunks(late: int, early: int = 0) -> tuple[bytes, list[bytes]]:
        registry = examples.large()
        last = registry.counter("last")
        last.inc(early)
        stream = of.stream(registry)
        first = next(stream)
        last.inc(late)
        return first, list(stream)

    assert chunks(late=7) == chunks(late=0, early=7) != chunks(late=0)


@each_format()
def test_nothing_is_read_before_the_first_chunk_is_requested(of: Format):
    reads = itertools.count()
    registry = Registry()
    registry.int_gauge("a", function=lambda: next(reads))
    stream = of.stream(registry)
    assert next(reads) == 0
    assert b"".join(stream)
    assert next(reads) == 2


@each_format()
def test_values_that_reset_at_a_read_reset_for_its_reader_alone(of: Format):
    registry = Registry(clock=ManualClock())
    registry.resetting_timer("pause").update(0.5)
    page = of.render(registry, reader="a")
    assert of.render(registry, reader="b") == page
    assert of.render(registry, reader="a") != page


def test_no_two_formats_are_one_reader_by_default():
    modules = {of.module for of in FORMATS.values()}
    readers = [inspect.signature(each.stream).parameters["reader"].default for each in modules]
    assert len(set(readers)) == len(readers)


@each_format(lambda of: "window" in inspect.signature(of.module.stream).parameters)
def test_values_within_the_window_are_shown_again(of: Format):
    clock = ManualClock()
    registry = Registry(clock=clock)
    registry.resetting_timer("pause").update(0.5)
    page = of.render(registry, window=60.0)
    clock.advance(50)
    assert of.render(registry, window=60.0) == page
    clock.advance(20)
    assert of.render(registry, window=60.0) != page


@each_format()
def test_a_function_that_fails_takes_its_own_instrument_off_the_page(of: Format, caplog):
    registry = Registry(clock=ManualClock())
    registry.counter("a").inc()
    registry.counter("z").inc()
    expected = of.render(registry)
    registry.gauge("broken", function=lambda: 1 / 0)
    family = Family(Gauge, ("shop",), factory=lambda: Gauge(lambda: 1 / 0))
    family.labels("x")
    registry.register("broken/family", family)
    assert of.render(registry) == expected
    assert "'broken' cannot be read" in caplog.text


@each_format()
def test_an_unregistered_instrument_is_on_no_further_page(of: Format):
    registry = Registry(clock=ManualClock())
    registry.counter("a").inc()
    expected = of.render(registry)
    for make in (registry.counters, registry.gauges):
        make("b", labels=("x",)).labels("1").inc(5)
        assert of.render(registry) != expected
        registry.unregister("b")
        assert of.render(registry) == expected


@each_format()
def test_a_constant_label_is_written_as_a_label_of_a_family(of: Format):
    def page(registry: Registry, suffix: str = "", **labels: Any) -> bytes:
        def add(shortcut: str, update: Callable[[Any], object], **options: Any) -> None:
            made = getattr(registry, shortcut + suffix)(
                shortcut, description="d", **labels, **options
            )
            update(made.labels("eu") if labels else made)

        add("counter", lambda counter: counter.inc(3))
        add("gauge", lambda gauge: gauge.set(-1.5), unit="percent")
        add("info", lambda info: info.set({"zone": "us", "zone_": "asia"}))
        add("meter", lambda meter: meter.mark(2))
        add("histogram", lambda histogram: histogram.update(2))
        add("bucket_histogram", lambda histogram: histogram.update(2), bounds=(1, 5))
        add("timer", lambda timer: timer.update(0.5), sampled=True)
        add("resetting_timer", lambda timer: timer.update(0.5))
        return of.render(registry)

    constant = page(Registry(clock=ManualClock(), labels={"zone": "eu"}))
    assert constant == page(Registry(clock=ManualClock()), "s", labels=("zone",))
    assert constant != page(Registry(clock=ManualClock()))


@each_format()
def test_pages_are_whole_while_children_come_and_go(of: Format):
    registry = Registry()
    family = registry.counters("hits", labels=("path",))
    stop = threading.Event()

    def churn() -> None:
        for number in itertools.count():
            family.labels(number % 50).inc()
            family.remove(str((number + 25) % 50))
            if stop.is_set():
                return

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _ in range(50):
            of.read(of.render(registry))
    finally:
        stop.set()
        worker.join(10)


@each_format()
def test_every_registry_is_a_well_formed_page(of: Format):
    for seed in range(GENERATED):
        of.read(of.render(generate(seed).registry))


@each_format()
@given(st.dictionaries(names, numbers, max_size=5), texts, texts, texts)
def test_any_name_number_and_text_is_written(of: Format, values, label, info, description):
    registry = Registry(clock=ManualClock(), labels={"b": info})
    family = registry.counters("children", labels=("x",), description=description)
    family.labels(label).inc(7)
    registry.info("info").set({label: info})
    for name, value in values.items():
        made = registry.int_gauge if isinstance(value, int) else registry.gauge
        made(f"gauge {name}", unit="seconds").set(value)
    page = of.render(registry)
    assert page != of.empty
    of.read(page)


WRONG: dict[str, list[tuple[object, type[Exception], str]]] = {
    "batch_size": [(0, ValueError, "batch_size"), (1.5, TypeError, "batch_size")],
    "datagram_bytes": [(0, ValueError, "datagram_bytes"), (1.5, TypeError, "datagram_bytes")],
    "deltas": [("delta", TypeError, r"invalid deltas 'delta': .*Deltas\(\)")],
    "dialect": [("odd", ValueError, "dialect 'odd': use")],
    "distributions": [
        ("buckets", ValueError, "'buckets': use histogram or summary"),
        (None, ValueError, "None: use histogram or summary"),
    ],
    "duration_unit": [("hours", ValueError, "invalid duration_unit 'hours': use one of seconds")],
    "escaping": [("odd", ValueError, "unknown escaping 'odd': use one of underscores")],
    "host": [("", ValueError, "invalid host ''"), (None, TypeError, "invalid host None")],
    "label_style": [("dots", ValueError, "invalid label_style 'dots': use tags or nodes")],
    "labels": [
        ("a=b", TypeError, "use a mapping of str to str"),
        ({"a": 1}, TypeError, "invalid label a=1: use a str as value"),
        ({"a-b": "x"}, ValueError, "label name 'a-b' is malformed"),
        ({"__name__": "x"}, ValueError, "label name '__name__' is malformed"),
        ({"le": "x"}, ValueError, "label name 'le' is reserved"),
    ],
    "names": [
        ("x_total", TypeError, r"such as \('x_total',\)"),
        ([5], TypeError, r"invalid name 5 \(int\): use a str"),
    ],
    "namespace": [(None, TypeError, r"invalid namespace None \(NoneType\): use a str")],
    "resource": [
        (None, TypeError, "resource None: use a mapping"),
        ({"a": None}, TypeError, "'a': None"),
        ({1: "a"}, TypeError, "1: 'a'"),
        ({"": "a"}, ValueError, "give it a name"),
    ],
    "samples": [(0, ValueError, "samples"), (1.5, TypeError, "samples")],
    "starts": [(0, TypeError, r"starts 0: use one Starts\(\)")],
    "tags": [
        (["a"], TypeError, "use a mapping of str to str"),
        ({"a": 1}, TypeError, "invalid tag 'a': 1: use a mapping of str to str"),
        ({"": "x"}, ValueError, "use a name that is not empty"),
    ],
    "target": [
        ("a", TypeError, "use a mapping of str to str"),
        ({"a": 1}, TypeError, "a=1: use a str"),
        ({"a-b": "1"}, ValueError, "label name 'a-b' is malformed"),
    ],
    "timestamp_ns": [
        (-1, ValueError, "timestamp_ns"),
        (1 << 63, ValueError, "timestamp_ns"),
        (1.5, TypeError, "timestamp_ns"),
    ],
    "window": [
        ("soon", TypeError, "window"),
        (-1.0, ValueError, "invalid window -1.0: pass seconds"),
        (math.nan, ValueError, "window"),
        (math.inf, ValueError, "window"),
    ],
}
"""Malformed values of options, with their errors, which are the same in all formats."""

FREE = {"created", "header", "metadata", "reader", "staleness"}
"""Options without a rule that a value could break."""

CASES = [
    pytest.param(of, option, *wrong, id=f"{name}, {option}={wrong[0]!r}")
    for name, of in FORMATS.items()
    for option in inspect.signature(of.module.stream).parameters
    if option not in FREE | {"registry"}
    for wrong in WRONG[option]
]


@pytest.mark.parametrize(("of", "option", "value", "error", "message"), CASES)
def test_a_malformed_option_is_an_error_of_the_call_itself(of, option, value, error, message):
    with pytest.raises(error, match=message):
        of.stream(Registry(), **{option: value})
