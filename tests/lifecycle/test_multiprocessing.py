"""Processes of multiprocessing have resources of their own, with every start method."""

import asyncio
import multiprocessing
import os
import sys
import threading

import pytest

from metrics import resources
from metrics.exporters import prometheus
from metrics.lifecycle import MetricsContainer, Resource, State, running, state

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

TIMEOUT = 60
METHODS = multiprocessing.get_all_start_methods()

starts: list[int] = []


def counted():
    starts.append(os.getpid())
    yield os.getpid()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "rpc/requests")
    home = Resource(counted)


# As a program has it: at module level, so that every process that imports this has it too.
container = Container()
# The instruments that were handed out in this process, or in the one that it was forked from.
handed_out = []


def workers() -> int:
    return sum(thread.name == "metrics-ticker" for thread in threading.enumerate())


def use(results) -> None:
    before = state(container), workers()
    for requests in handed_out:
        requests.mark(2)
    container.requests().mark()
    own = container.home() == os.getpid(), starts.count(os.getpid()), workers()
    page = prometheus.render(container.registry()).decode().splitlines()
    counts = [line for line in page if line.startswith("rpc_requests_total")]
    container.shutdown_resources()
    results.send((before, own, counts, workers(), state(container)))
    results.close()


def wait_for_the_end(ready, _hold) -> None:
    ready.send(True)
    # A signal that comes just before the wait is seen after it.
    while not threading.Event().wait(0.1):
        pass


@pytest.fixture
def started():
    container.init_resources()
    handed_out.append(container.requests())
    yield container
    handed_out.clear()
    container.shutdown_resources()


@pytest.fixture
def no_server_is_left():
    yield
    # The server of forkserver and the tracker of resources would stay, with their pipes.
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()


@pytest.mark.usefixtures("no_server_is_left")
@pytest.mark.parametrize("method", METHODS)
def test_a_process_starts_and_stops_its_own_resources(method, started):
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    handed_out[0].mark(1000)
    process = context.Process(target=use, args=(sender,))
    process.start()
    sender.close()
    with receiver:
        assert receiver.poll(TIMEOUT)
        before, own, counts, after, ended = receiver.recv()
    process.join(TIMEOUT)
    assert process.exitcode == 0
    process.close()
    assert before == (State.NEW, 0)
    assert own == (True, 1, 1)
    # A forked process counts with the instrument that was handed out before.
    assert counts == [f"rpc_requests_total {3 if method == 'fork' else 1}"]
    assert (after, ended) == (0, State.STOPPED)
    assert (state(started), workers()) == (State.RUNNING, 1)
    assert started.home() == os.getpid()
    assert started.requests().count == 1000


def terminated(receiver, sender, context):
    """Return the exit code of a child that is told to terminate while it waits."""
    process = context.Process(target=wait_for_the_end, args=(sender, receiver))
    process.start()
    try:
        assert receiver.poll(TIMEOUT)
        process.terminate()
        process.join(TIMEOUT)
        return process.exitcode
    finally:
        process.kill()
        process.join(TIMEOUT)
        process.close()


@pytest.mark.skipif("fork" not in METHODS, reason="there is no fork here")
@pytest.mark.parametrize(
    "where",
    [
        "block",
        "async block",
        pytest.param(
            "stop",
            marks=pytest.mark.skipif(
                sys.version_info[:3] == (3, 13, 0),
                reason="this interpreter calls no signal handler in a child that a thread forked",
            ),
        ),
    ],
)
def test_a_child_forked_while_running_obeys_the_signal_that_ends_it(where):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    codes = []

    def fork() -> None:
        codes.append(terminated(receiver, sender, context))

    def hook():
        yield
        if where == "stop":
            fork()

    class Forking(MetricsContainer):
        part = Resource(hook)

    async def main() -> None:
        async with running(Forking(), timeout=TIMEOUT):
            fork()

    with receiver, sender:
        if where == "async block":
            asyncio.run(main())
        else:
            with running(Forking(), timeout=TIMEOUT):
                if where == "block":
                    fork()
    assert codes[0] in {143, -15}
