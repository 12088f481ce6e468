"""Program that serves its live page, with hostile names, a secret, and a resource that fails.

python program.py PORT
"""

import contextlib
import sys
import threading

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from metrics.errors import LifecycleError
from metrics.integrations import asgi
from metrics.lifecycle import MetricsContainer, Resource

SECRET = "hunter2-secret"
MARKUP = "<img src=x onerror=alert(1)>"


def traffic(registry):
    """Count, measure and observe, ten times a second."""
    over = threading.Event()
    requests = registry.timers("shop/requests", labels=("route",))
    calls = registry.counter("shop/calls")
    registry.gauge("shop/hostile", description=MARKUP).set(1)
    registry.counters("shop/pages", labels=("page",)).labels(MARKUP).inc()

    def work():
        number = 0
        while not over.wait(0.1):
            number += 1
            calls.inc()
            requests.labels(f"/{number % 3}").update(0.001 * (1 + number % 50))

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def fail(password):
    raise ConnectionError(f"{MARKUP}: cannot log in with {password}")
    yield


class Container(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    traffic = Resource(traffic, registry)


class Failing(Container):
    config = Container.config
    database = Resource(fail, config.password)


def main() -> None:
    container = (Failing if "fail" in sys.argv else Container)()
    container.config.from_dict({"password": SECRET, "tick_interval": 0.2})

    @contextlib.asynccontextmanager
    async def lifespan(app):
        with contextlib.suppress(LifecycleError, ConnectionError):
            await container.init_resources()
        yield
        await container.shutdown_resources()

    page = asgi.exposition(container, title="The shop")
    app = Starlette(routes=[Mount("/watch", page)], lifespan=lifespan)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
