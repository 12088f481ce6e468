"""Django, measured. Run `gunicorn django_app:application`; the values are at /metrics."""

from dependency_injector.wiring import Provide, inject
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from metrics import Counter, resources
from metrics.integrations import django, http
from metrics.lifecycle import MetricsContainer, Resource

settings.configure(
    ALLOWED_HOSTS=["*"],
    METRICS_CONTAINER=f"{__name__}.container",
    MIDDLEWARE=["metrics.integrations.django.Measured"],
    ROOT_URLCONF=__name__,
)


class Container(MetricsContainer):
    """Resources of a worker: its first request starts them, and its exit stops them."""

    registry = MetricsContainer.registry
    http = Resource(http.server, registry, exclude=["/metrics"])
    sales = Resource(resources.counter, registry, "shop.sales")


@inject
def buy(_: HttpRequest, number: int, sales: Counter = Provide[Container.sales]) -> HttpResponse:
    """Sell an item."""
    sales.inc()
    return HttpResponse(number)


urlpatterns = [path("items/<int:number>", buy), path("metrics", django.metrics)]
container = Container()
container.wire([__name__])
application = get_wsgi_application()
