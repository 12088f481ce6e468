"""A request is split into the very series it was written from."""

from cramjam import snappy
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import remote_write
from metrics.exporters.remote_write._splitting import describe, join, split
from tests.exporters.examples import NOW_NS, everything
from tests.exporters.write_requests import read


def request(registry: Registry) -> bytes:
    return remote_write.render(registry, timestamp_ns=NOW_NS)


def test_a_request_is_its_series():
    whole = request(everything())
    series = split(whole)
    assert join(series) == whole
    assert [sent for one in series for sent in read(join([one]))] == read(whole)
    assert len(series) == len(read(whole)) > 20


def test_halves_are_requests():
    whole = request(everything())
    series = split(whole)
    first, second = join(series[:7]), join(series[7:])
    assert read(first) + read(second) == read(whole)
    assert split(join([])) == []


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, unique=True))
def test_a_series_is_described_by_its_name_and_labels(texts: list[str]):
    registry = Registry()
    family = registry.counters("hits", labels=("path",), max_label_length=None, max_children=1000)
    for text in texts:
        family.labels(text).inc()
    described = [describe(series) for series in split(request(registry))]
    assert len(described) == len(set(described)) == len(texts)
    assert all(text.startswith("hits_total") for text in described)
    registry = Registry()
    registry.counters("hits", labels=("path",)).labels('/a"').inc()
    assert [describe(series) for series in split(request(registry))] == ['hits_total{path="/a\\""}']


def test_a_field_that_is_no_series_is_kept_as_it_is():
    # Metadata, field 3: a type, and the name of a family.
    metadata = b"\x1a\x06\x08\x01\x12\x02up"
    whole = bytes(snappy.compress_raw(metadata))
    assert split(whole) == [metadata]
    assert describe(metadata) == "metadata"
