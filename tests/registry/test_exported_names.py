import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.registry._exported_names import (
    FAMILIES,
    OPENMETRICS_SUFFIXES,
    TEXT_SUFFIXES,
    exported_name,
    exposed_names,
    geth_names,
    taken_names,
)
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from metrics import (
    BucketHistogram,
    Counter,
    FloatCounter,
    Gauge,
    Healthcheck,
    Histogram,
    Info,
    IntGauge,
    Meter,
    Registry,
    ResettingTimer,
    Timer,
    UpDownCounter,
)
from metrics._units import SCALES
from metrics.exporters import openmetrics, prometheus
from metrics.registry._inner import store_of

MAKERS = {
    kind: kind
    for kind in (
        *(Counter, FloatCounter, UpDownCounter, Gauge, IntGauge, Info, Meter),
        *(Histogram, BucketHistogram, Timer, ResettingTimer),
    )
} | {Healthcheck: lambda: Healthcheck(lambda: None)}

UNITS = st.sampled_from(["", *SCALES, "bytes", "seconds", "ratio", "celsius", "°", "a/b"])
WORDS = ("x", "total", "info", "seconds", "milliseconds", "count", "created", "_", "9")
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("_".join)


@pytest.mark.parametrize(
    ("name", "exported"),
    [
        ("requests", "requests"),
        ("_a1", "_a1"),
        ("rpc/requests", "rpc_requests"),
        ("a.b-c:d e", "a_b_c_d_e"),
        ("5xx", "_5xx"),
        ("größe", "gr__e"),
        ("日", "_"),
        ("٣", "_"),
        ("class", "class"),
    ],
)
def test_exported_names_have_letters_digits_and_underscores(name: str, exported: str):
    assert exported_name(name) == exported


@given(st.text(min_size=1))
def test_an_exported_name_is_fit_for_prometheus_and_stays_as_it_is(name: str):
    exported = exported_name(name)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", exported, re.ASCII)
    assert exported_name(exported) == exported


def test_every_type_of_instrument_has_its_families():
    assert MAKERS.keys() == FAMILIES.keys()


def written(page: bytes) -> set[str]:
    """Return every name on a page, those of samples and those of families."""
    lines = page.decode().splitlines()
    samples = {re.split(r"[ {]", line)[0] for line in lines if line and not line.startswith("#")}
    return samples | {line.split()[2] for line in lines if line.startswith("# TYPE")}


@pytest.mark.parametrize("kind", FAMILIES)
@given(name=NAMES, unit=UNITS)
def test_the_names_on_a_page_are_those_that_are_taken(kind: type, name: str, unit: str):
    registry = Registry()
    instrument = registry.register(name, MAKERS[kind](), unit=unit)
    if hasattr(instrument, "update"):
        instrument.update(1.0)
    (entry,) = store_of(registry).entries()
    text = written(prometheus.render(registry))
    metrics = written(openmetrics.render(registry)) - {"EOF"}
    geth = written(prometheus.render(registry, dialect="go-ethereum", reader="geth"))
    assert geth == set(geth_names(kind, name))
    assert text <= set(exposed_names(kind, name, entry.unit, TEXT_SUFFIXES))
    assert metrics <= set(exposed_names(kind, name, entry.unit, OPENMETRICS_SUFFIXES))
    assert text | metrics | geth <= set(taken_names(kind, name, entry.unit))
    assert taken_names(kind, name, entry.unit)[0] == exported_name(name)


@given(st.lists(st.tuples(NAMES, st.sampled_from(list(FAMILIES)), UNITS), max_size=8))
def test_what_a_registry_takes_is_a_page_with_everything_on_it(wanted):
    registry = Registry()
    kept = 0
    for name, kind, unit in wanted:
        try:
            registry.register(name, MAKERS[kind](), unit=unit)
        except ValueError:
            continue
        kept += len(FAMILIES[kind])
    page = openmetrics.render(registry).decode()
    assert len(list(text_string_to_metric_families(page))) == kept
