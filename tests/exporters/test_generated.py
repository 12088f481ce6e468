"""Prometheus' parsers and promtool accept 300 and 60 registries that nobody thought of."""

import math
import os
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from metrics.exporters import openmetrics, prometheus
from metrics.exporters._exposition.escaping import ESCAPINGS
from tests.exporters.generated import generate

REGISTRIES = 300
CHECKED = 60


@pytest.mark.parametrize("escaping", ESCAPINGS)
def test_the_parsers_accept_every_registry_and_read_its_values(escaping):
    for seed in range(REGISTRIES):
        registry, families, values = generate(seed)
        for exporter, parse in ((prometheus, text_families), (openmetrics, openmetrics_families)):
            page = exporter.render(registry, escaping=escaping, reader=exporter.__name__).decode()
            found = list(parse(page))
            note = f"{exporter.__name__}, seed {seed}\n{page}"
            assert len({family.name for family in found}) == len(found) == families, note
            numbers = [sample.value for family in found for sample in family.samples]
            for value in values:
                assert any(math.isclose(number, value) for number in numbers), note


@pytest.mark.skipif(
    not shutil.which("promtool") and not os.environ.get("CI"), reason="promtool is not installed"
)
@pytest.mark.parametrize("escaping", [one for one in ESCAPINGS if one != "allow-utf-8"])
# 3 says that promtool reads the page, and would choose other names.
@pytest.mark.parametrize(("odd", "codes"), [(False, {0}), (True, {0, 3})])
def test_promtool_accepts_every_registry(escaping, odd, codes):
    pages: list[bytes] = []
    for seed in range(CHECKED):
        # The names of each registry are its own, so that a process checks all pages as one.
        registry = generate(seed, prefix=f"r{seed}x/", odd=odd).registry
        pages.append(prometheus.render(registry, escaping=escaping))
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=b"".join(pages), capture_output=True, check=False
    )
    assert checked.returncode in codes, checked.stderr.decode()
