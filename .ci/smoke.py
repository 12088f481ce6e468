"""Smoke test of an installed distribution: `python .ci/smoke.py`, with `--compiled` or without.

The interpreter's environment has the library and its requirements alone, no extra. With
`--compiled`, a library that runs interpreted is a failure.
"""

import asyncio
import pkgutil
import sys
import threading
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.metadata import entry_points, metadata, requires, version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

REQUIREMENTS = {"dependency_injector", "librt", "mypy_extensions", "wired_metrics__mypyc"}
"""Modules of the requirements, and the one that the compiled modules share."""

NOT_HERE = {"metrics.testing.plugin"}
"""Modules that are not imported: by pytest alone, or on POSIX alone."""

if sys.platform == "win32":
    NOT_HERE.add("metrics.integrations.processes")

NOW = {"timestamp_ns": 1_700_000_000_000_000_000}

FORMATS_OF_EXTRAS = {"otlp", "remote_write"}


def loaded_packages() -> set[str]:
    """Return the names of loaded packages that do not belong to Python."""
    # Modules that Cython adds for itself have no spec.
    modules = [name for name, module in [*sys.modules.items()] if getattr(module, "__spec__", None)]
    roots = {name.partition(".")[0] for name in modules if not name.startswith("_sysconfigdata")}
    return roots - sys.stdlib_module_names


def public_modules(package: str) -> list[str]:
    """Return the names of the public modules below a package."""
    found = []
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        if not module.name.rpartition(".")[2].startswith("_"):
            found.append(module.name)
            if module.ispkg:
                found += public_modules(module.name)
    return found


def check_imports() -> None:
    """Import every public module: no thread, no package but the requirements."""
    before, threads = loaded_packages(), threading.enumerate()
    import_module("metrics")
    assert loaded_packages() - before == {"metrics"}, loaded_packages() - before
    modules = public_modules("metrics")
    missing = [name for name in modules if name not in NOT_HERE and not is_importable(name)]
    assert "metrics.integrations.django" in missing, missing
    for name in missing:
        # The extra of a module has its name.
        expect_extra(name.rpartition(".")[2].replace("_", "-"), import_module, name)
    assert "COMPILED" in import_module("metrics").__all__
    foreign = loaded_packages() - before - REQUIREMENTS
    assert foreign == {"metrics"}, foreign
    assert threading.enumerate() == threads, threading.enumerate()


def is_importable(name: str) -> bool:
    """Import a module; return whether all of its packages are installed."""
    try:
        import_module(name)
    except ModuleNotFoundError:
        return False
    return True


def expect_extra(extra: str, function: object, *arguments: object, **options: object) -> None:
    """Check that a call says which extra to install."""
    try:
        result = function(*arguments, **options)
        if isinstance(result, AbstractContextManager):
            result.__enter__()
    except ModuleNotFoundError as error:
        assert f"pip install 'wired-metrics[{extra}]'" in str(error), error
        assert error.name, error
    else:
        raise AssertionError(f"{function} works without the extra {extra}: is it installed?")
    assert extra in metadata("wired-metrics").get_all("Provides-Extra"), extra


def check_missing_extras() -> None:
    """Check the errors of hooks and formats whose requirements are missing."""
    from metrics import Registry
    from metrics.collectors import HostCollector, ProcessCollector
    from metrics.exporters import otlp as otlp_format
    from metrics.exporters import remote_write as remote_write_format
    from metrics.integrations import asgi, uvicorn
    from metrics.reporters import influxdb, opentsdb, otlp, pushgateway, remote_write

    registry, url = Registry(), "http://127.0.0.1:9"
    expect_extra("host", HostCollector, registry)
    expect_extra("host", ProcessCollector, registry)
    expect_extra("influxdb", influxdb.v1, registry, url, "shop")
    expect_extra("influxdb", influxdb.v2, registry, url, "token", "org", "bucket")
    expect_extra("opentsdb", opentsdb.http, registry, url)
    expect_extra("otlp", otlp.http, registry, url)
    expect_extra("otlp", otlp_format.render, registry, **NOW)
    expect_extra("pushgateway", pushgateway.http, registry, url, "shop")
    expect_extra("pushgateway", pushgateway.http, registry, url, "shop", delete_at_end=True)
    expect_extra("remote-write", remote_write.http, registry, url)
    expect_extra("remote-write", remote_write_format.render, registry, **NOW)
    expect_extra("serve", uvicorn.serve, asgi.exposition(registry), port=0)


def format_options() -> dict[str, dict[str, object]]:
    """Return the required options of each format that needs no extra."""
    from metrics.exporters.statsd import Deltas

    options = dict.fromkeys(("csv", "graphite", "influx"), NOW)
    options |= {"opentsdb": {**NOW, "host": "local"}, "statsd": {"deltas": Deltas()}}
    others = ("expvar", "geth_text", "json", "log_lines", "openmetrics", "prometheus")
    return options | {name: {} for name in others}


def check_container(folder: Path) -> None:
    """Run a container: updates, a page in each format, and a reporter to a file."""
    from metrics import resources
    from metrics.integrations import asgi
    from metrics.lifecycle import MetricsContainer, Resource, running
    from metrics.reporters import file
    from metrics.testing import no_leaks

    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        orders = Resource(resources.counters, registry, "orders", labels=("method",))
        requests = Resource(resources.meter, registry, "requests")
        durations = Resource(resources.timer, registry, "durations")
        report = Resource(file.replace, registry, folder / "page.prom", interval=3600)

    with no_leaks():
        container = Container()
        assert threading.active_count() == 1, threading.enumerate()
        with running(container):
            container.orders().labels("GET").inc(3)
            container.requests().mark()
            with container.durations().time():
                assert {thread.name for thread in threading.enumerate()} > {"metrics-ticker"}
            formats = format_options()
            names = {name.rpartition(".")[2] for name in public_modules("metrics.exporters")}
            assert names == {*formats, *FORMATS_OF_EXTRAS}, names
            for name, options in formats.items():
                render = import_module(f"metrics.exporters.{name}").render
                page = render(container.registry(), **options)
                assert b"orders" in page, (name, page)
            asyncio.run(check_pages(asgi.exposition(container)))
        assert threading.active_count() == 1, threading.enumerate()
        page = (folder / "page.prom").read_text(encoding="utf-8")
        assert 'orders_total{method="GET"} 3' in page, page


async def check_pages(application: object) -> None:
    """Request the values, and the live page with its files."""
    assert b'orders_total{method="GET"} 3' in await body_of(application, "/metrics", "*/*")
    index = await body_of(application, "/", "text/html")
    assert b"<title>" in index, index
    static = files("metrics.integrations._dashboard") / "static"
    names = [file.name for file in static.iterdir()]
    assert {"dashboard.css", "dashboard.js", "index.html"} < {*names}, names
    for name in names:
        if name != "index.html":
            body = await body_of(application, f"/dashboard/{name}", "*/*")
            assert body == (static / name).read_bytes(), name


async def body_of(application: object, path: str, accept: str) -> bytes:
    """Return the body of a response; fail unless its status is 200."""
    messages = []

    async def receive() -> dict:
        return {"type": "http.request"}

    async def send(message: dict) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"accept", accept.encode())],
    }
    await application(scope, receive, send)
    assert messages[0]["status"] == 200, (path, messages[0])
    return b"".join(message.get("body", b"") for message in messages[1:])


def check_metadata() -> None:
    """Check the version, the requirements, the marker of types and the pytest plugin."""
    from metrics._version import library_version

    assert library_version() == version("wired-metrics")
    needed = {line for line in requires("wired-metrics") if "extra ==" not in line}
    assert len(needed) == 2, needed
    assert (files("metrics") / "py.typed").is_file()
    (plugin,) = entry_points(group="pytest11", name="wired_metrics")
    assert plugin.load().DISABLED == ""


def main(arguments: list[str]) -> None:
    """Run all checks."""
    check_imports()
    check_missing_extras()
    with TemporaryDirectory() as folder:
        check_container(Path(folder))
    check_metadata()

    import metrics

    form = "compiled" if metrics.COMPILED else "interpreted"
    print(f"wired-metrics {version('wired-metrics')} works, COMPILED = {metrics.COMPILED}")
    if "--compiled" in arguments and not metrics.COMPILED:
        sys.exit(f"the library runs {form}: {metrics.__file__}")


if __name__ == "__main__":
    main(sys.argv[1:])
