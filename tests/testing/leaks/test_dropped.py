"""A container that nobody has any more stops by itself, and was left all the same."""

import gc
import threading

import pytest

from metrics import resources
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, running
from metrics.testing import LeakError, no_leaks
from metrics.testing.leaks._dropped import dropped
from tests.testing.leaks.leaving import blamed


class Forgotten(MetricsContainer):
    registry, ticker = MetricsContainer.registry, MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "rpc/requests")


pytestmark = [
    # For the check around these tests they are left behind as well.
    pytest.mark.leakcheck(ignore="container Forgotten"),
    pytest.mark.filterwarnings("ignore:Forgotten was garbage collected:ResourceWarning"),
]


def start() -> None:
    container = Forgotten()
    container.init_resources()
    container.requests().mark()


def test_a_container_that_is_dropped_while_it_runs_is_blamed():
    _, (leak,) = blamed(start)
    assert leak[:2] == ("container", "Forgotten")
    assert leak.detail == "garbage collected while running, with ticker, registry, requests"
    assert leak.stack[0].source == "container.init_resources()"
    assert [thread.name for thread in threading.enumerate()].count("metrics-ticker") == 0


def test_it_is_blamed_though_the_garbage_is_collected_after_the_block():
    class Cycle:
        def __init__(self) -> None:
            self.itself = self
            self.container = Forgotten()

    gc.disable()
    try:
        with pytest.raises(LeakError, match="garbage collected") as caught, no_leaks():
            Cycle().container.init_resources()
    finally:
        gc.enable()
    assert [leak.kind for leak in caught.value.leaks] == ["container"]


def test_a_container_that_was_stopped_may_be_dropped():
    with no_leaks(grace=0.0):
        with running(Forgotten()) as container:
            container.requests().mark()
        del container
        gc.collect()


@pytest.mark.leakcheck(ignore="container Demanding")
def test_one_that_was_there_before_and_starts_more_is_not_blamed():
    class Demanding(LifecycleContainer):
        first, second = Resource(object), Resource(object)

    def drop() -> None:
        held[0].second()
        held.clear()
        gc.collect()

    held = [Demanding()]
    held[0].first()
    with pytest.warns(ResourceWarning, match="Demanding"):
        _, leaks = blamed(drop)
    assert leaks == ()


def test_it_is_not_blamed_on_the_next_block():
    blamed(start)
    with no_leaks(grace=0.0):
        pass


def test_nothing_is_kept_of_one_that_was_stopped():
    with no_leaks():
        before = len(dropped)
        with running(Forgotten()):
            pass
        gc.collect()
        assert len(dropped) == before
