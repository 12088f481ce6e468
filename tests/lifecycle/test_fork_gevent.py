"""A worker that gevent patches after the fork: greenlets share the survivors of the parent."""

import subprocess
import sys

import pytest

from tests.forks import DEADLINE, forking
from tests.lifecycle.programs import LIGHT

pytest.importorskip("gevent")

pytestmark = forking

PROGRAM = """
import os, sys, threading
from metrics import resources
from metrics.lifecycle import MetricsContainer, Resource, state

def connection():
    yield os.getpid()

class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "requests")
    connection = Resource(connection)

container = Container()
container.config.from_dict({"tick_interval": 0.01})
container.init_resources()
requests, registry, ticker = container.requests(), container.registry(), container.ticker()

class Slow:
    ticks = 0

    def tick(self):
        self.ticks += 1
        gevent.sleep(0.01)
        rung.set()

child = os.fork()
if child:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    container.shutdown_resources()
    sys.exit(status)

from gevent import monkey
monkey.patch_all()
import gevent
import gevent.event

rung = gevent.event.Event()
slow = Slow()
ACTION
if rung.wait(10) and state(container) == "STOPPED":
    print("done", [thread.name for thread in threading.enumerate()])
os._exit(0)
"""

ACTIONS = {
    # The first use starts the worker, in a call that holds the lock of the ticker.
    "add": "ticker.add(slow); rung.wait(10); container.shutdown_resources(timeout=10)",
    "register": (
        "registry.meter('other'); ticker.add(slow); rung.wait(10); "
        "container.shutdown_resources(timeout=10)"
    ),
    # Greenlets that tick wait for each other, and not for a lock of the operating system.
    "tick": (
        "ticker.add(slow); gevent.joinall([gevent.spawn(ticker.tick) for _ in range(3)], 10); "
        "container.shutdown_resources(timeout=10)"
    ),
    "start": (
        "container.init_resources(timeout=10); ticker.add(slow); rung.wait(10); "
        "container.shutdown_resources(timeout=10)"
    ),
    "request": (
        "gevent.joinall([gevent.spawn(container.connection) for _ in range(5)], 10); "
        "ticker.add(slow); rung.wait(10); "
        "gevent.joinall([gevent.spawn(container.shutdown_resources) for _ in range(3)], 10)"
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_library_works_with_greenlets_and_stops(action):
    program = PROGRAM.replace("ACTION", ACTIONS[action])
    done = subprocess.run(
        [sys.executable, "-c", LIGHT + program],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done ['MainThread']\n", done.stderr
    assert "Traceback" not in done.stderr
