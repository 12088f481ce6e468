"""Cost of a measured request, over the same application unmeasured, beside the peers' cost.

Applications are called in this process, without a server. All the middlewares of an application
are measured in turns.
"""

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from io import BytesIO
from itertools import count
from math import inf
from typing import Any, ClassVar

from metrics import Registry
from metrics.integrations import asgi, http, wsgi

from .libraries import has_module
from .row import OURS, Row, multiple
from .single import Effort
from .timing import Sample, least, statement

PEERS = {
    "prometheus-fastapi-instrumentator": "prometheus_fastapi_instrumentator",
    "starlette-exporter": "starlette_exporter",
    "prometheus-flask-exporter": "prometheus_flask_exporter",
    "django-prometheus": "django_prometheus",
    "opentelemetry-instrumentation-asgi": "opentelemetry.instrumentation.asgi",
    "opentelemetry-instrumentation-wsgi": "opentelemetry.instrumentation.wsgi",
    "opentelemetry-instrumentation-flask": "opentelemetry.instrumentation.flask",
    "opentelemetry-instrumentation-django": "opentelemetry.instrumentation.django",
}
"""Distributions of the peers, and the modules that they have."""

OPENTELEMETRY = "OpenTelemetry"
COLUMNS = ["prometheus-fastapi-instrumentator", "starlette-exporter", "prometheus-flask-exporter",
           "django-prometheus", OPENTELEMETRY]  # fmt: skip

BARE = "bare"

NUMBERS = count()

ROUTES = (1, 21, 200)

HEADERS = [
    (b"host", b"example.org"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"connection", b"keep-alive"),
]

COPIES = 6
"""Number of times that each application is created."""

EFFORT = Effort(seconds=0.0005, rounds=360)
QUICK = Effort(seconds=0.0005, rounds=20)
"""Extents of a measurement; small differences of long requests need many rounds."""

Serve = Callable[[], object]
"""Function that serves one request."""


class Application(ABC):
    """Application with some routes, of which the last one answers; each middleware has its own.

    `requirements` has the peers that measure it, and the modules that they need.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    requirements: ClassVar[dict[str, str]]

    def __init__(self, routes: int) -> None:
        self.routes = routes
        self.path = f"/r{routes - 1}/1"
        self.instruments = ExitStack()

    @abstractmethod
    def make(self, measure: str) -> Serve:
        """Return a function that serves one request: `bare`, by this library or by a peer."""

    def server(self) -> http.HTTPServer:
        """Return instruments of this library."""
        return self.instruments.enter_context(http.server(Registry()))

    def sample(self, measure: str, seconds: float) -> Sample:
        """Measure one request, without the collection of the cycles that frameworks leave."""
        requests = statement("m()", self.make(measure), seconds)

        def sample() -> float:
            gc.collect()
            return requests()

        return sample


class ASGI(Application):
    """ASGI application without a framework."""

    name = "ASGI without a framework"
    module = "asyncio"
    requirements: ClassVar[dict[str, str]] = {OPENTELEMETRY: "opentelemetry.instrumentation.asgi"}

    def application(self) -> Any:
        start = {"type": "http.response.start", "status": 200, "headers": []}
        body = {"type": "http.response.body", "body": b"hello"}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start)
            await send(body)

        return app

    def measured(self, app: Any) -> Any:
        """Return the application, measured by this library."""
        return asgi.Measured(app, http=self.server())

    def make(self, measure: str) -> Serve:
        app = self.application()
        if measure == OURS:
            app = self.measured(app)
        elif measure == OPENTELEMETRY:
            app = import_from("opentelemetry.instrumentation.asgi", "OpenTelemetryMiddleware")(
                app, **providers()
            )
        elif measure == "starlette-exporter":
            from starlette_exporter import PrometheusMiddleware

            # It has one registry for all, in which applications differ by a prefix.
            app.add_middleware(PrometheusMiddleware, prefix=f"benchmark{next(NUMBERS)}")
        elif measure == "prometheus-fastapi-instrumentator":
            from prometheus_client import CollectorRegistry
            from prometheus_fastapi_instrumentator import Instrumentator

            Instrumentator(registry=CollectorRegistry()).instrument(app)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": HEADERS,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
        }
        status = 0

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        def serve() -> None:
            try:
                app({**scope}, receive, send).send(None)
            except StopIteration:
                return
            raise RuntimeError("the application has waited for an event loop")

        serve()
        check_status(status)
        return serve


class Starlette(ASGI):
    """Starlette."""

    name = "Starlette"
    module = "starlette"
    requirements: ClassVar[dict[str, str]] = {
        **ASGI.requirements,
        "starlette-exporter": "starlette_exporter",
        "prometheus-fastapi-instrumentator": "prometheus_fastapi_instrumentator",
    }

    def application(self) -> Any:
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def item(request: object) -> Any:
            return PlainTextResponse("hello")

        return Starlette(
            routes=[Route(f"/r{number}/{{id}}", item) for number in range(self.routes)]
        )

    def measured(self, app: Any) -> Any:
        app.add_middleware(asgi.Measured, http=self.server())
        return app


class FastAPI(Starlette):
    """FastAPI."""

    name = "FastAPI"
    module = "fastapi"

    def application(self) -> Any:
        from fastapi import FastAPI

        app = FastAPI()
        for number in range(self.routes):

            @app.get(f"/r{number}/{{id}}")
            async def item(id: int) -> str:  # noqa: A002 - of the path
                return "hello"

        return app


class WSGI(Application):
    """WSGI application without a framework."""

    name = "WSGI without a framework"
    module = "wsgiref"
    requirements: ClassVar[dict[str, str]] = {OPENTELEMETRY: "opentelemetry.instrumentation.wsgi"}

    def application(self, measure: str) -> Any:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
            return [b"hello"]

        if measure == OURS:
            return wsgi.measured(app, self.server())
        if measure == OPENTELEMETRY:
            return import_from("opentelemetry.instrumentation.wsgi", "OpenTelemetryMiddleware")(
                app, **providers()
            )
        return app

    def make(self, measure: str) -> Serve:
        app = self.application(measure)
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.input": BytesIO(),
            **{f"HTTP_{name.decode().upper()}": value.decode() for name, value in HEADERS[1:]},
        }
        status = ""

        def start_response(line: str, headers: object, exc_info: object = None) -> None:
            nonlocal status
            status = line

        def serve() -> None:
            body = app({**environ}, start_response)
            for _ in body:
                pass
            if hasattr(body, "close"):
                body.close()

        serve()
        check_status(int(status[:3]))
        return serve


class Flask(WSGI):
    """Flask."""

    name = "Flask"
    module = "flask"
    requirements: ClassVar[dict[str, str]] = {
        OPENTELEMETRY: "opentelemetry.instrumentation.flask",
        "prometheus-flask-exporter": "prometheus_flask_exporter",
    }

    def application(self, measure: str) -> Any:
        from flask import Flask

        app = Flask(__name__)
        for number in range(self.routes):
            app.add_url_rule(f"/r{number}/<id>", f"r{number}", lambda id: "hello")  # noqa: A006
        if measure == OURS:
            app.wsgi_app = wsgi.measured(app.wsgi_app, self.server())
        elif measure == OPENTELEMETRY:
            import_from(
                "opentelemetry.instrumentation.flask", "FlaskInstrumentor"
            )().instrument_app(app, **providers())
        elif measure == "prometheus-flask-exporter":
            from prometheus_client import CollectorRegistry
            from prometheus_flask_exporter import PrometheusMetrics

            # Not by path, its default, which has a series for each path.
            PrometheusMetrics(app, registry=CollectorRegistry(), group_by="url_rule")
        return app


class Container:
    """Container that the setting METRICS_CONTAINER names."""

    http: http.HTTPServer


container = Container()


class Django(WSGI):
    """Django, whose settings are changed while a handler with its middleware is created."""

    name = "Django"
    module = "django"
    requirements: ClassVar[dict[str, str]] = {
        OPENTELEMETRY: "opentelemetry.instrumentation.django",
        "django-prometheus": "django_prometheus",
    }

    def application(self, measure: str) -> Any:
        from django.conf import settings

        if not settings.configured:
            import django

            settings.configure(
                ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="secret", ROOT_URLCONF=()
            )
            django.setup()
        from django.core.handlers.wsgi import WSGIHandler
        from django.http import HttpResponse
        from django.test import override_settings
        from django.urls import path

        routes = tuple(
            path(f"r{number}/<int:id>", lambda request, id: HttpResponse("hello"))  # noqa: A006
            for number in range(self.routes)
        )
        middleware = []
        if measure == OURS:
            container.http = self.server()
            middleware = ["metrics.integrations.django.Measured"]
        elif measure == "django-prometheus":
            prefix = "django_prometheus.middleware.Prometheus"
            middleware = [f"{prefix}BeforeMiddleware", f"{prefix}AfterMiddleware"]
        # The routes stay, as handlers resolve paths at each request.
        settings.ROOT_URLCONF = routes
        with override_settings(MIDDLEWARE=middleware, METRICS_CONTAINER=f"{__name__}.container"):
            if measure != OPENTELEMETRY:
                return WSGIHandler()
            # It changes the settings, and refuses to do so twice.
            instrumentor = import_from(self.requirements[OPENTELEMETRY], "DjangoInstrumentor")()
            instrumentor.instrument(**providers())
            try:
                return WSGIHandler()
            finally:
                instrumentor.uninstrument()


def import_from(module: str, name: str) -> Any:
    """Return an attribute of a module."""
    return getattr(__import__(module, fromlist=[name]), name)


def providers() -> dict[str, Any]:
    """Return OpenTelemetry's providers: metrics alone, without traces."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.trace import NoOpTracerProvider

    return {
        "meter_provider": MeterProvider(metric_readers=[InMemoryMetricReader()]),
        "tracer_provider": NoOpTracerProvider(),
    }


def check_status(status: int) -> None:
    """Raise RuntimeError if a request was not answered with success."""
    if status != 200:
        raise RuntimeError(f"the application has answered {status}")


def rows(effort: Effort, *, alone: bool) -> Iterator[Row]:
    """Yield a row for each application: the cost of a measured request over a bare one."""
    kinds: list[tuple[type[Application], tuple[int, ...]]] = [
        (ASGI, (1,)),
        (Starlette, ROUTES),
        (FastAPI, ROUTES),
        (WSGI, (1,)),
        (Flask, ROUTES),
        (Django, ROUTES),
    ]
    for kind, numbers in kinds:
        if not has_module(kind.module):
            continue
        for number in numbers:
            application = kind(number)
            with application.instruments:
                yield measure(application, effort, alone=alone)


def measure(application: Application, effort: Effort, *, alone: bool) -> Row:
    """Return the row of an application."""
    kind, number = type(application), application.routes
    routes = (
        f", {number} routes" if number > 1 else ", 1 route" if len(kind.requirements) > 1 else ""
    )
    row = Row(kind.name + routes)
    needed = {} if alone else kind.requirements
    names = [BARE, OURS, *(peer for peer, module in needed.items() if has_module(module))]
    results = dict.fromkeys(names, inf)
    # The same application takes a microsecond more or less each time that it is created.
    for _ in range(min(COPIES, effort.rounds)):
        for name in names:
            row.add(name, application.sample, name, effort.seconds)
        samples = {name: row.prepare(name) for name in names}
        # The collections before the samples are quick without the modules and the applications.
        frozen = gc.get_freeze_count()
        gc.collect()
        gc.freeze()
        try:
            costs = least(samples, max(effort.rounds // COPIES, 1))
        finally:
            # Objects that the caller has frozen cannot be distinguished, and stay frozen.
            if not frozen:
                gc.unfreeze()
        results = {name: min(results[name], cost) for name, cost in costs.items()}
    bare = results.pop(BARE)
    row.name += f" ({bare * 1e6:.1f} us)"
    for name, result in results.items():
        row.record(name, max(result - bare, 0.0))
    return row


def notes(measured: list[Row]) -> Iterator[str]:
    """Yield a sentence for each application: the cheapest peer, as a multiple of our cost."""
    yield (
        "An application has its own cost beside its name, to which measuring it adds ours. A "
        "microsecond of a framework's row is noise: its applications differ by as much."
    )
    cheapest = [
        f"{row.name.partition(' (')[0]} {multiple(min(peers) / row.results[OURS])}"
        for row in measured
        if (peers := [cost for name, cost in row.results.items() if name != OURS])
        and row.results.get(OURS)
    ]
    if cheapest:
        yield f"The cheapest peer: {', '.join(cheapest)}."


def versions() -> dict[str, str | None]:
    """Return the version of each peer; None for a missing one."""
    return {name: version(name) if has_module(module) else None for name, module in PEERS.items()}
