"""A project of Django in one module: settings, container, views, and applications of a server."""

import asyncio
import sys
from pathlib import Path

from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEBUG=False,
        INSTALLED_APPS=["django.contrib.contenttypes"],
        LOGGING_CONFIG=None,
        METRICS_CONTAINER=f"{__name__}.container",
        MIDDLEWARE=["metrics.integrations.django.Measured"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="secret",  # of a test
        USE_TZ=True,
    )

import django
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

from metrics.integrations import django as integration
from metrics.integrations import http
from metrics.lifecycle import MetricsContainer, Resource

django.setup()

stopped = []


def reporter(registry):
    yield registry
    stopped.append(registry)
    print("the container has stopped", file=sys.stderr, flush=True)  # noqa: T201


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    http = Resource(http.server, registry)
    reporter = Resource(reporter, registry)


container = Container()


def item(request, number, tenant=None):
    return HttpResponse(f"item {number}", headers={"X-Body": str(len(request.body))})


def fail(request):
    raise LookupError


def missing(request):
    raise Http404


def stream(request):
    def chunks():
        yield b"a"
        if request.GET.get("fail"):
            raise LookupError
        yield b"bc"

    return StreamingHttpResponse(chunks())


async def async_stream(request):
    async def chunks():
        yield b"a"
        await asyncio.sleep(0)
        yield b"bc"

    return StreamingHttpResponse(chunks())


async def async_item(request, number):
    await asyncio.sleep(0)
    return HttpResponse(f"item {number}")


def file(request):
    return FileResponse(Path(__file__).open("rb"))


urlpatterns = [
    path("", lambda request: HttpResponse("home")),
    path("items/<int:number>/", item),
    path("async/<int:number>/", async_item),
    path("fail", fail),
    path("missing", missing),
    path("stream", stream),
    path("async-stream", async_stream),
    path("file", file),
    path("v1/<slug:tenant>/", include([path("items/<int:number>/", item)])),
    re_path(r"^old/(?P<year>[0-9]{4})/$", lambda request, year: HttpResponse(year)),
    path("metrics", integration.metrics),
]

application = get_wsgi_application()
asgi_application = get_asgi_application()
