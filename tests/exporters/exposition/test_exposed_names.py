"""Names on a page of Prometheus: known before it is read, and each there at most once."""

import re
from collections import Counter as Tally

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from metrics import SYSTEM_CLOCK, Healthcheck, Registry, StateSet
from metrics._units import SCALES
from metrics.exporters import openmetrics, prometheus
from metrics.exporters._exposition.geth import GethLayout
from metrics.exporters._exposition.layout import TextLayout
from metrics.exporters._exposition.layouts import NewLayout
from metrics.exporters._series.kinds import first_kinds_of
from metrics.exporters.openmetrics import OpenMetricsLayout
from metrics.registry._inner import KINDS, Defaults, store_of

UNITS = st.sampled_from(["", *SCALES, "bytes", "seconds", "ratio", "celsius", "°", "a/b"])
WORDS = ("x", "total", "info", "seconds", "milliseconds", "count", "created", "_", "9", "ü")
# Names that begin with two underscores cannot be labels, which states need.
NAMES = (
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)
    .filter(lambda w: w[0] != "_")
    .map("_".join)
)
# Names that are written alike.
CLASHING = st.tuples(NAMES, st.sampled_from("/.:_-")).map(
    lambda pair: pair[0].replace("_", pair[1])
)


def create(kind: type) -> object:
    if kind is StateSet:
        return StateSet(("on", "off"))
    instrument = KINDS[kind].new(Defaults(5.0, SYSTEM_CLOCK, "seconds"))
    if kind is Healthcheck:
        instrument.healthy()
    return instrument


def sample_names(page: bytes) -> list[str]:
    lines = page.decode().splitlines()
    return [re.split(r"[ {]", line)[0] for line in lines if line and not line.startswith("#")]


def family_names(page: bytes) -> list[str]:
    return [line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")]


def known_names(registry: Registry, new: NewLayout) -> set[str]:
    (entry,) = store_of(registry).entries()
    return set(new(entry, (), 1, first_kinds_of(store_of(registry))).names())


def names_on(page: bytes) -> set[str]:
    return {*sample_names(page), *family_names(page)}


@pytest.mark.parametrize("kind", KINDS)
@given(name=NAMES, unit=UNITS)
def test_the_names_on_a_page_are_known_before_it_is_read(kind: type, name: str, unit: str):
    registry = Registry()
    instrument = registry.register(name, create(kind), unit=unit)
    if hasattr(instrument, "update"):
        instrument.update(1.0)
    geth = prometheus.render(registry, dialect="go-ethereum", reader="geth")
    assert names_on(geth) == known_names(registry, GethLayout)
    text = names_on(prometheus.render(registry))
    assert text
    assert text <= known_names(registry, TextLayout)
    metrics = names_on(openmetrics.render(registry))
    assert metrics <= known_names(registry, OpenMetricsLayout)


@given(st.lists(st.tuples(CLASHING, st.sampled_from(list(KINDS)), UNITS), max_size=8))
def test_a_page_has_every_name_at_most_once_whatever_is_registered(wanted):
    registry = Registry()
    for name, kind, unit in {name: (name, kind, unit) for name, kind, unit in wanted}.values():
        registry.register(name, create(kind), unit=unit)
    for page in (
        openmetrics.render(registry),
        prometheus.render(registry),
        prometheus.render(registry, dialect="go-ethereum", reader="geth"),
    ):
        families = family_names(page)
        assert not [name for name, count in Tally(families).items() if count > 1]
        lines = [line for line in page.decode().splitlines() if line and line[0] != "#"]
        series = Tally(line.rpartition(" ")[0] for line in lines)
        assert not [name for name, count in series.items() if count > 1]
    parsed = text_string_to_metric_families(openmetrics.render(registry).decode())
    assert len(list(parsed)) == len(family_names(openmetrics.render(registry)))
