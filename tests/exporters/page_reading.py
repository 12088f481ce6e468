"""Pages read back by Prometheus' own parser, and an instrument of a program's own."""

from prometheus_client.parser import text_string_to_metric_families

from metrics import Registry
from metrics.exporters import prometheus
from metrics.exporters._exposition.layout import Layout
from metrics.exporters._exposition.layouts import layouts_of
from metrics.registry._inner import store_of


def page(registry: Registry) -> str:
    return prometheus.render(registry).decode()


def samples(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page(registry))
        for sample in family.samples
    }


def kinds(registry: Registry) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(page(registry))}


def layout(registry: Registry, name: str, dialect: str = "prometheus") -> Layout:
    """Return the layout that is kept of an instrument between pages."""
    new = prometheus.DIALECTS[dialect]
    return layouts_of(store_of(registry), dialect, new)._by_name[name]


class Custom:
    """An instrument of a program's own, of which nobody knows what it is before it is read."""

    def __init__(self, snapshot):
        self._snapshot = snapshot

    def snapshot(self, reader=""):
        return self._snapshot
