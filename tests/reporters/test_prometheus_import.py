"""VictoriaMetrics imports the pages that Prometheus scrapes, and has what they say."""

import gzip

import pytest

from metrics.exporters import openmetrics, prometheus
from tests.exporters.examples import everything
from tests.exporters.write_requests import page
from tests.processes import fetch
from tests.reporters.prometheus import key
from tests.reporters.real import Victoria


@pytest.mark.parametrize("exporter", [prometheus, openmetrics], ids=["text", "openmetrics"])
def test_an_imported_page_is_read_back_as_it_was_recorded(exporter, victoria: Victoria):
    job = f"import-{exporter.__name__}"
    fetch(
        f"{victoria.url}/api/v1/import/prometheus?extra_label=job={job}",
        gzip.compress(exporter.render(everything())),
        {"Content-Encoding": "gzip"},
    )
    expected = page(everything())
    points = victoria.has(len(expected), job=job)
    found = {key({"__name__": one.name, **one.tags}): one.value for one in points}
    assert {sample: found.get(sample) for sample in expected} == pytest.approx(expected)
