"""Tables that are taken from the code: `python -m tests.docs.generated` writes them into the pages.

The comment `<!-- generated: options influxdb.v2 -->` says which one, and `<!-- end -->` ends it:

- `options <module>.<hook>`: the arguments and own options of a reporter, from its signature and its
  docstring
- `shared <class>`: the options that several reporters have
- `endpoint <module>.<function>`: the same of an endpoint
- `series <instrument>`: the names that each format has for an instrument
"""

import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from metrics import Registry
from metrics.exporters import (
    expvar,
    graphite,
    influx,
    openmetrics,
    opentsdb,
    otlp,
    prometheus,
    statsd,
)
from metrics.exporters import json as json_format
from metrics.reporters._push import options
from metrics.testing import ManualTicker
from tests.docs.pages import PAGES, REGION

FIELD = re.compile(r"([\w-]+)=")

NOW_NS = 1_700_000_000_000_000_000


def expected_text(name: str) -> str:
    """Return the text of a region."""
    kind, _, subject = name.partition(" ")
    return GENERATORS[kind](subject).strip()


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def descriptions(docstring: str) -> dict[str, str]:
    """Return the descriptions in the sections "Args" and "Options" of a docstring."""
    found: dict[str, str] = {}
    for section in re.findall(
        r"^(?:Args|Options):\n((?:^(?: {4}.*)?\n?)+)", docstring, re.MULTILINE
    ):
        for name, text in re.findall(
            r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section, re.DOTALL | re.MULTILINE
        ):
            found[name] = " ".join(text.split()).removesuffix(".")
    return found


def shown_default(default: object) -> str:
    """Return a default as a table shows it."""
    if default is inspect.Parameter.empty:
        return "required"
    if isinstance(default, (str, int, float, type(None))):
        return f"`{default!r}`"
    return "none" if not default else f"`{default}`"


def option_rows(
    names: Iterable[str], defaults: Callable[[str], str], texts: Mapping[str, str]
) -> str:
    return table(
        ["Option", "Default", "Meaning"],
        [[f"`{name}`", defaults(name), texts[name].replace("|", "\\|")] for name in names],
    )


def shared_options_of(subject: str) -> str:
    """Return the table of the options that one class adds to those of its bases."""
    base = {"Options": "", "ConnectionOptions": "Options", "HttpOptions": "ConnectionOptions"}
    inherited = getattr(options, base[subject]).__annotations__ if base[subject] else {}
    names = [name for name in getattr(options, subject).__annotations__ if name not in inherited]
    texts = {name: option.description for name, option in options.SHARED.items()}
    return option_rows(names, lambda name: shown_default(options.SHARED[name].default), texts)


def options_of(subject: str) -> str:
    """Return the table of a reporter's arguments, without the options that all reporters share."""
    module_name, _, hook_name = subject.partition(".")
    module = importlib.import_module(f"metrics.reporters.{module_name}")
    hook = getattr(module, hook_name)
    shared = {
        f"{name}{option.default}{option.description}"
        for name, option in options.SHARED.items()
        if name in options.HttpOptions.__annotations__
    }
    # Hooks of one module describe their common arguments once.
    texts = {
        **descriptions(inspect.getdoc(getattr(module, "udp", hook)) or ""),
        **descriptions(inspect.getdoc(hook) or ""),
    }
    parameters = inspect.signature(hook).parameters
    own = [
        name
        for name, parameter in parameters.items()
        if name != "registry" and f"{name}{parameter.default}{texts[name]}" not in shared
    ]
    return option_rows(own, lambda name: shown_default(parameters[name].default), texts)


def endpoint_options_of(subject: str) -> str:
    """Return the table of the options of a function of `metrics.integrations`."""
    module, _, name = subject.partition(".")
    function = getattr(importlib.import_module(f"metrics.integrations.{module}"), name)
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "registry"
    }
    texts = descriptions(inspect.getdoc(function) or "")
    return option_rows(parameters, lambda name: shown_default(parameters[name].default), texts)


UPDATES: dict[str, Callable[[Registry], object]] = {
    "Counter": lambda registry: registry.counter("a/b").inc(3),
    "UpDownCounter": lambda registry: registry.updown_counter("a/b").inc(3),
    "Gauge": lambda registry: registry.gauge("a/b").set(1.5),
    "Info": lambda registry: registry.info("a/b").set({"version": "1.2"}),
    "StateSet": lambda registry: registry.state_set("a/b", states=("idle", "busy")).set("busy"),
    "Meter": lambda registry: registry.meter("a/b").mark(3),
    "Histogram": lambda registry: registry.histogram("a/b").update(2),
    "BucketHistogram": lambda registry: registry.bucket_histogram("a/b", bounds=(1, 10)).update(2),
    "Timer": lambda registry: registry.timer("a/b", bounds=(0.1, 1)).update(0.25),
    "Timer(sampled=True)": lambda registry: registry.timer("a/b", sampled=True).update(0.25),
    "ResettingTimer": lambda registry: registry.resetting_timer("a/b").update(0.25),
    "Healthcheck": lambda registry: registry.healthcheck("a/b", lambda: None),
}
"""An update of one instrument of each kind."""


def pages_names(page: bytes) -> list[str]:
    """Return the samples of a Prometheus page, with the names of their labels."""
    samples = [line for line in page.decode().splitlines() if line and line[0] != "#"]
    return [
        re.sub(r'(\w+)="[^"]*"', r"\1", sample.rpartition(" ")[0].replace(" ", ""))
        for sample in samples
    ]


def fields_of(lines: bytes) -> list[str]:
    """Return measurements and fields of InfluxDB's lines."""
    found = []
    for line in lines.decode().splitlines():
        measurement, _, fields = line.partition(" ")
        found.append(f"{measurement}: {', '.join(FIELD.findall(fields))}")
    return found


def points_of(payload: bytes) -> list[str]:
    """Return names, types and units of OTLP's metrics."""
    data = MetricsData.FromString(payload)
    return [
        f"{metric.name}: {metric.WhichOneof('data')}{f', {metric.unit}' if metric.unit else ''}"
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


FORMATS: dict[str, Callable[[Registry], list[str]]] = {
    "Prometheus": lambda registry: pages_names(prometheus.render(registry)),
    "OpenMetrics": lambda registry: pages_names(openmetrics.render(registry)),
    'Prometheus, `dialect="go-ethereum"`': lambda registry: pages_names(
        prometheus.render(registry, dialect="go-ethereum")
    ),
    "OTLP": lambda registry: points_of(
        otlp.render(registry, timestamp_ns=NOW_NS, starts=otlp.Starts())
    ),
    "InfluxDB": lambda registry: fields_of(influx.render(registry)),
    "Graphite": lambda registry: [
        line.split(" ")[0]
        for line in graphite.render(registry, timestamp_ns=NOW_NS).decode().splitlines()
    ],
    "OpenTSDB": lambda registry: [
        line.split(" ")[1]
        for line in opentsdb.render(registry, host="h", timestamp_ns=NOW_NS).decode().splitlines()
    ],
    "StatsD": lambda registry: [
        re.sub(r":[^|]+\|", " ", line)
        for line in statsd.render(registry, deltas=statsd.Deltas()).decode().splitlines()
    ],
    "JSON": lambda registry: [*json.loads(json_format.render(registry))["a/b"]],
    "expvar": lambda registry: [*json.loads(expvar.render(registry))],
}


def series_of(kind: str) -> str:
    """Return the table of the names that each format has for `a/b`."""
    rows = []
    for title, names in FORMATS.items():
        with ManualTicker() as ticker:
            registry = Registry(ticker=ticker, clock=ticker.clock)
            UPDATES[kind](registry)
            ticker.advance(5)
            found = [*dict.fromkeys(names(registry))]
        rows.append([title, ", ".join(f"`{name}`" for name in found) or "none"])
    return table(["Format", "Names"], rows)


GENERATORS: dict[str, Callable[[str], str]] = {
    "endpoint": endpoint_options_of,
    "options": options_of,
    "shared": shared_options_of,
    "series": series_of,
}


def write(page: Path) -> None:
    """Bring the generated regions of a page up to date."""
    page.write_text(
        REGION.sub(
            lambda found: (
                f"<!-- generated: {found[1]} -->\n\n{expected_text(found[1])}\n\n<!-- end -->"
            ),
            page.read_text(),
        )
    )


if __name__ == "__main__":
    for each in PAGES:
        write(each)
