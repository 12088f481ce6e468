"""Library that is measured with OpenTelemetry's API: python opentelemetry_bridge.py 8000."""

import signal
import sys

from dependency_injector import providers
from opentelemetry import metrics

from metrics.integrations import asgi, opentelemetry, uvicorn
from metrics.lifecycle import MetricsContainer, Resource, running

# Of a library, which knows nothing of the container.
meter = metrics.get_meter("shop")
orders = meter.create_counter("shop.orders", "{order}", "Orders by their way of payment")
duration = meter.create_histogram("shop.payment.duration", "s", "Time of payments")
meter.create_observable_gauge("shop.stock", [lambda _options: [metrics.Observation(7)]])


def order(payment: str, seconds: float) -> None:
    orders.add(1, {"payment.method": payment})
    duration.record(seconds, {"payment.method": payment})


class Container(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    meters = Resource(opentelemetry.meter_provider, registry, set_global=True)
    page = Resource(uvicorn.serve, providers.Singleton(asgi.metrics, registry), port=config.port)


if __name__ == "__main__":
    with running(Container(config={"port": int(sys.argv[1])})):
        order("card", 0.25)
        order("card", 1.5)
        order("cash", 0.125)
        signal.pause()
