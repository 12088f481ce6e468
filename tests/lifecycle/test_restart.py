"""After a stop nothing starts by itself; after the next start everything is new and fits."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dependency_injector import providers

from metrics import Counter, resources
from metrics.lifecycle import LifecycleContainer, MetricsContainer, NotRunningError, Resource

PATIENCE = 10.0

SINGLETONS = [
    providers.Singleton,
    providers.ThreadSafeSingleton,
    providers.ThreadLocalSingleton,
    providers.ContextLocalSingleton,
]


class Connection:
    """A resource that knows whether it is up."""

    def __init__(self, *needed) -> None:
        self.open = False

    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *_) -> None:
        self.open = False


class Service:
    """Something that keeps a resource."""

    def __init__(self, part) -> None:
        self.part = part


def container_with(kind):
    class Container(LifecycleContainer):
        connection = Resource(Connection)
        service = kind(Service, connection)
        # Holds the resource at third hand.
        facade = kind(Service, providers.List(service.provided.part))

    return Container()


def test_what_needs_a_stopped_resource_raises_and_starts_nothing():
    class Container(LifecycleContainer):
        connection = Resource(Connection)
        factory = providers.Factory(Service, connection)
        singleton = providers.Singleton(Service, connection)
        items = providers.List(connection)
        user = Resource(Connection, connection)

    container = Container()
    container.init_resources()
    container.singleton()
    container.shutdown_resources()
    for name in ("connection", "factory", "singleton", "items", "user"):
        with pytest.raises(NotRunningError, match="after init_resources"):
            container.providers[name]()
    assert not container.connection.initialized
    assert not container.user.initialized


@pytest.mark.parametrize("kind", SINGLETONS)
def test_a_singleton_that_holds_a_resource_is_recreated(kind):
    container = container_with(kind)
    seen = []
    for _ in range(3):
        container.init_resources()
        seen += [container.service(), container.facade()]
        assert container.service() is container.service()
        assert container.service().part is container.connection()
        assert container.facade().part == [container.connection()]
        assert container.service().part.open
        container.shutdown_resources()
    assert len({id(made) for made in seen}) == 6


@pytest.mark.parametrize("kind", SINGLETONS)
def test_a_singleton_is_recreated_for_a_thread_that_outlives_the_stop(kind):
    container = container_with(kind)
    with ThreadPoolExecutor(1) as worker:
        for _ in range(2):
            container.init_resources()
            service = worker.submit(container.service).result(PATIENCE)
            assert service.part is container.connection()
            container.shutdown_resources()


@pytest.mark.parametrize("kind", SINGLETONS)
def test_a_singleton_is_recreated_for_a_task_that_outlives_the_stop(kind):
    container = container_with(kind)

    async def main() -> None:
        turn, done = asyncio.Queue(), asyncio.Queue()

        async def ask() -> None:
            while await turn.get():
                await done.put(container.service())

        task = asyncio.create_task(ask())
        for _ in range(2):
            container.init_resources()
            await turn.put(True)
            assert (await done.get()).part is container.connection()
            container.shutdown_resources()
        await turn.put(False)
        await task

    asyncio.run(main())


@pytest.mark.parametrize("kind", SINGLETONS)
def test_a_singleton_that_holds_no_resource_stays(kind):
    class Container(LifecycleContainer):
        connection = Resource(Connection)
        other = kind(dict)

    container = Container()
    container.init_resources()
    other = container.other()
    container.shutdown_resources()
    assert container.other() is other
    container.init_resources()
    assert container.other() is other
    container.shutdown_resources()


def test_a_singleton_whose_resource_stays_up_stays_when_another_resource_stops_and_starts():
    class Container(LifecycleContainer):
        mine = Resource(Connection)
        other = Resource(Connection)
        service = providers.Singleton(Service, mine)

    container = Container()
    container.init_resources()
    service = container.service()
    container.other.shutdown()
    assert container.service() is service
    container.init_resources()
    assert container.service() is service
    container.shutdown_resources()


def test_a_singleton_made_of_a_resource_that_stops_alone_is_recreated():
    container = container_with(providers.Singleton)
    container.init_resources()
    before = container.service()
    container.connection.shutdown()
    assert container.service().part is container.connection()
    assert container.service() is not before
    container.shutdown_resources()


def test_a_singleton_made_in_a_failed_start_is_recreated():
    failing = [OSError("no")]

    def fail_once(service) -> None:
        if failing:
            raise failing.pop()

    class Container(LifecycleContainer):
        connection = Resource(Connection)
        service = providers.Singleton(Service, connection)
        user = Resource(fail_once, service)

    container = Container()
    with pytest.raises(OSError):
        container.init_resources()
    container.init_resources()
    assert container.service().part.open
    container.shutdown_resources()


def test_a_singleton_holds_the_new_resource_although_it_was_requested_by_a_hook_during_the_stop():
    asked = []

    class Container(LifecycleContainer):
        connection = Resource(Connection)
        service = providers.Singleton(Service, connection)

        @staticmethod
        def ask(container):
            yield
            try:
                asked.append(container().service())
            except NotRunningError as error:
                asked.append(error)

        user = Resource(ask.__func__, providers.Object(lambda: made))

    made = Container()
    made.init_resources()
    made.shutdown_resources()
    assert len(asked) == 1
    made.init_resources()
    assert made.service().part is made.connection()
    made.shutdown_resources()


def use(instruments):
    """Use every instrument in the ways that programs do."""
    instruments["counter"].inc()
    instruments["float_counter"].inc(0.5)
    instruments["updown_counter"].inc()
    instruments["updown_counter"].dec()
    for name in ("gauge", "int_gauge"):
        instruments[name].set(1)
        instruments[name].inc()
        instruments[name].dec()
        instruments[name].set_max(2)
    instruments["info"].set({"version": "1"})
    instruments["meter"].mark(3)
    instruments["histogram"].update(1)
    instruments["bucket_histogram"].update(1)
    for name in ("timer", "resetting_timer"):
        instruments[name].update(0.1)
        with instruments[name].time():
            pass
        instruments[name].timed(lambda: None)()
    instruments["healthcheck"].check()
    instruments["family"].labels("get").inc()
    instruments["family"].labels("put").inc()
    instruments["family"].remove("put")
    for instrument in instruments.values():
        instrument.snapshot()
        if hasattr(instrument, "tick"):
            instrument.tick()


class Instruments(MetricsContainer):
    """One of each kind."""

    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    counter = Resource(resources.counter, registry, "counter")
    float_counter = Resource(resources.float_counter, registry, "float_counter")
    updown_counter = Resource(resources.updown_counter, registry, "updown_counter")
    gauge = Resource(resources.gauge, registry, "gauge")
    int_gauge = Resource(resources.int_gauge, registry, "int_gauge")
    info = Resource(resources.info, registry, "info")
    meter = Resource(resources.meter, registry, "meter")
    histogram = Resource(resources.histogram, registry, "histogram")
    bucket_histogram = Resource(resources.bucket_histogram, registry, "bucket_histogram", (1.0,))
    timer = Resource(resources.timer, registry, "timer")
    resetting_timer = Resource(resources.resetting_timer, registry, "resetting_timer")
    healthcheck = Resource(resources.healthcheck, registry, "healthcheck", providers.Object(int))
    family = Resource(resources.family, registry, "family", providers.Object(Counter), ["method"])


NOT_INSTRUMENTS = {"config", "clock", "ticker", "registry", "exemplars"}


def test_instruments_handed_out_stay_callable_and_detached_after_the_stop():
    container = Instruments()
    container.init_resources()
    handed_out = {
        name: provider()
        for name, provider in container.providers.items()
        if name not in NOT_INSTRUMENTS
    }
    # Every kind that the library has is here.
    declared = {name for name in vars(resources) if name in handed_out}
    assert len(declared) == 13
    registry, ticker = container.registry(), container.ticker()
    use(handed_out)
    container.shutdown_resources()
    assert registry.names() == ()
    assert len(ticker) == 0
    use(handed_out)
    assert registry.names() == ()
    assert handed_out["counter"].count == 2
    container.init_resources()
    use(handed_out)
    assert container.counter() is not handed_out["counter"]
    assert container.counter().count == 0
    assert handed_out["counter"].count == 3
    container.shutdown_resources()
    use(handed_out)


def test_a_registry_and_a_ticker_handed_out_stay_harmless_after_the_stop():
    container = MetricsContainer()
    container.init_resources()
    registry, ticker = container.registry(), container.ticker()
    container.shutdown_resources()
    registry.meter("late").mark()
    assert registry.names() == ("late",)
    assert not ticker.running
    assert [t for t in threading.enumerate() if t.name == "metrics-ticker"] == []
    registry.clear()


def test_threads_that_use_instruments_do_not_notice_restarts():
    container, over = Instruments(), threading.Event()
    container.init_resources()
    handed_out = {name: container.providers[name]() for name in ("counter", "meter", "timer")}
    errors = []

    def work() -> None:
        try:
            while not over.is_set():
                handed_out["counter"].inc()
                handed_out["meter"].mark()
                handed_out["timer"].update(0.1)
        except BaseException as error:  # noqa: BLE001 - raised in the test
            errors.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        container.shutdown_resources()
        container.init_resources()
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    container.shutdown_resources()
    assert errors == []
