"""Names of metrics, unique among the instruments of a registry."""

from typing import final

from metrics.exporters._exposition.layout import Layout
from metrics.exporters.otlp._conventions import QUANTILE, RATE, metric_name
from metrics.instruments import BucketHistogramSnapshot


@final
class OtlpLayout(Layout):
    """Name of the metrics of an entry, and the names that other entries cannot have."""

    __slots__ = ()

    def metric_name(self) -> str:
        """Return the name of the metric of the instrument's values."""
        return metric_name(self._name, self.number)

    def names(self) -> list[str]:
        """Return the names of all metrics that an instrument of a known kind may have."""
        if self.kind is None:
            return []
        name = self.metric_name()
        views = [exported.view for exported in self.kind.families]
        names = [name]
        if "rates" in views:
            names.append(name + RATE)
        if "distribution" in views and self.kind.snapshot is not BucketHistogramSnapshot:
            names.append(name + QUANTILE)
        return names
