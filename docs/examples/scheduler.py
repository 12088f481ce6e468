"""Measured jobs of APScheduler: python scheduler.py 9100, with their page at port 9100."""

import signal
import sys
from collections.abc import Iterator

from apscheduler.schedulers.background import BackgroundScheduler
from dependency_injector.providers import Singleton

from metrics.integrations import asgi, uvicorn
from metrics.integrations.apscheduler import jobs
from metrics.lifecycle import MetricsContainer, Resource, running


def clean() -> None:
    print("cleaned", flush=True)


def schedule(scheduler: BackgroundScheduler) -> Iterator[BackgroundScheduler]:
    scheduler.add_job(clean, "interval", seconds=1)
    scheduler.start()
    yield scheduler
    scheduler.shutdown()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    plain = Singleton(BackgroundScheduler)
    measured = Resource(jobs, registry, plain)
    scheduler = Resource(schedule, measured)
    page = Resource(uvicorn.serve, Singleton(asgi.metrics, registry), port=int(sys.argv[1]))


if __name__ == "__main__":
    with running(Container()):
        signal.pause()
