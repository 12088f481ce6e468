"""Flask, measured. Run `gunicorn 'flask_app:create_app()'`; the values are at /metrics."""

from dependency_injector.wiring import Provide, inject
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from metrics import Counter, resources
from metrics.integrations import http, wsgi
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    """Resources of a worker: its first request starts them, and its exit stops them."""

    registry = MetricsContainer.registry
    http = Resource(http.server, registry, exclude=["/metrics"])
    sales = Resource(resources.counter, registry, "shop.sales")


@inject
def buy(number: int, sales: Counter = Provide[Container.sales]) -> str:
    """Sell an item."""
    sales.inc()
    return str(number)


def create_app() -> Flask:
    """Create the application, which starts nothing."""
    container = Container()
    container.wire([__name__])
    app = Flask(__name__)
    app.add_url_rule("/items/<int:number>", view_func=buy, methods=["POST"])
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": wsgi.metrics(container)})
    app.wsgi_app = wsgi.measured(app.wsgi_app, container.http)
    return app
