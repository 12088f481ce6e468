"""Pages are rendered in threads of their own, shared, limited in time, and name what hangs."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from metrics import Registry
from metrics.integrations import asgi, wsgi
from metrics.integrations._serving.exposition import HEALTH
from metrics.integrations._serving.pages import RENDERINGS, seconds_to_wait
from metrics.integrations.uvicorn import serve
from tests.forks import forking, in_child
from tests.integrations.asking import Answer, ask, ask_wsgi, asked
from tests.processes import until

PATIENCE = 10.0
LIMIT = "x_prometheus_scrape_timeout_seconds"
SHORT = {LIMIT: "0.01"}
LONG = {LIMIT: "30"}


class Hanging:
    """Function of a gauge that hangs until it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.calls = 0

    def __call__(self) -> float:
        self.calls += 1
        self.entered.set()
        self.release.wait(3 * PATIENCE)
        return 1.0


def pages() -> list[threading.Thread]:
    """Return the threads that render pages."""
    return [thread for thread in threading.enumerate() if thread.name == "metrics-page"]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.counter("hits").inc()
    return registry


@pytest.fixture
def hanging(registry) -> Iterator[Hanging]:
    function = Hanging()
    registry.gauge("slow", function=function)
    yield function
    function.release.set()
    until(lambda: not pages(), "the end of the renderings")


def abandon(app, path: str, entered: threading.Event) -> None:
    """Scrape a page that hangs, and hang up when it does."""
    entered.clear()

    async def scrape() -> None:
        task = asyncio.create_task(asked(app, path, **LONG))
        assert await asyncio.to_thread(entered.wait, PATIENCE)
        task.cancel()

    asyncio.run(scrape())


async def settle() -> None:
    """Let all tasks run until they wait for other threads."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_abandoned_scrapes_leave_the_threads_of_the_event_loop_alone(registry, hanging):
    app = asgi.exposition(registry)

    async def scrape() -> None:
        loop = asyncio.get_running_loop()
        # More than the loop's executor has threads; half of the clients hang up.
        tasks = [asyncio.create_task(asked(app, "/metrics", **LONG)) for _ in range(40)]
        await settle()
        assert hanging.entered.wait(PATIENCE)
        for task in tasks:
            task.cancel()
        answers = await asyncio.gather(*[asked(app, "/metrics", **SHORT) for _ in range(40)])
        assert {answer.status for answer in answers} == {503}
        assert hanging.calls == len(pages()) == 1
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), PATIENCE) == 7
        assert await asyncio.wait_for(loop.getaddrinfo("localhost", 80), PATIENCE)
        assert (await asked(app, "/healthz")).status == 200
        hanging.release.set()

    asyncio.run(scrape())
    assert ask(app, "/metrics").status == 200


@pytest.mark.parametrize(("create", "ask"), [(asgi.metrics, ask), (wsgi.metrics, ask_wsgi)])
def test_the_answer_names_the_hanging_instrument_and_the_log_has_it_once(
    create, ask, registry, hanging, caplog
):
    app = create(registry)
    abandon(asgi.metrics(registry), "/", hanging.entered)
    for _ in range(3):
        answer = ask(app, "/metrics", **SHORT)
        assert answer.status == 503
        assert answer.text == (
            "the page was not ready within 0.009 s: it waits for the value of Gauge 'slow', "
            "whose function hangs\n"
        )
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.name == "metrics.integrations"
    assert record.message.startswith(f"Gauge 'slow' hangs in Hanging.__call__ ({__file__}:")
    assert record.message.endswith(
        ": pages that need its value are answered with 503 after 0.009 s"
    )
    hanging.release.set()
    until(lambda: not pages(), "the end of the rendering")
    assert ask(app, "/metrics").status == 200
    # It works again, so that the next time is news.
    hanging.release.clear()
    abandon(asgi.metrics(registry), "/", hanging.entered)
    assert ask(app, "/metrics", **SHORT).status == 503
    assert len(caplog.records) == 2


@pytest.mark.parametrize("path", ["/metrics.json", "/debug/metrics", "/debug/metrics/prometheus"])
def test_every_page_names_the_hanging_instrument(path, registry, hanging):
    app = asgi.exposition(registry)
    abandon(app, path, hanging.entered)
    answer = ask(app, path, **SHORT)
    assert answer.status == 503
    assert "Gauge 'slow'" in answer.text


def test_an_instrument_of_another_class_is_named_as_well(caplog):
    registry, hanging = Registry("shop"), Hanging()

    class Slow:
        def snapshot(self, reader: str = "") -> object:
            hanging()
            raise ValueError

    registry.register("stock", Slow())
    abandon(asgi.metrics(registry), "/", hanging.entered)
    assert "Slow 'shop/stock'" in ask(asgi.metrics(registry), "/", **SHORT).text
    hanging.release.set()
    until(lambda: not pages(), "the end of the rendering")


def test_concurrent_requests_share_one_rendering(registry, hanging):
    app, other = asgi.metrics(registry), asgi.exposition(registry)

    async def scrape() -> None:
        tasks = [asyncio.create_task(asked(app, "/", **LONG)) for _ in range(5)]
        tasks += [asyncio.create_task(asked(other, "/metrics", **LONG)) for _ in range(5)]
        await settle()
        assert len(pages()) == 1
        hanging.release.set()
        answers = await asyncio.gather(*tasks)
        assert len({answer.text for answer in answers}) == 1
        assert answers[0].status == 200
        assert hanging.calls == 1

    asyncio.run(scrape())


def test_each_request_has_its_own_limit(registry, hanging):
    app = asgi.metrics(registry)

    async def scrape() -> None:
        patient = asyncio.create_task(asked(app, "/", **LONG))
        await settle()
        assert (await asked(app, "/", **SHORT)).status == 503
        hanging.release.set()
        assert (await patient).status == 200
        assert hanging.calls == 1

    asyncio.run(scrape())


def test_a_client_that_hangs_up_does_not_end_the_rendering_of_others(registry, hanging):
    app = asgi.metrics(registry)

    async def scrape() -> None:
        first, second = [asyncio.create_task(asked(app, "/", **LONG)) for _ in range(2)]
        await settle()
        first.cancel()
        await settle()
        hanging.release.set()
        assert (await second).status == 200

    asyncio.run(scrape())
    assert hanging.calls == 1


def test_another_page_is_served_while_one_hangs(registry, hanging):
    app = asgi.exposition(registry)
    abandon(app, "/metrics", hanging.entered)
    answer = ask(app, "/metrics?name[]=hits_total")
    assert (answer.status, answer.text.splitlines()[-1]) == (200, "hits_total 1")
    other = Registry()
    assert ask(asgi.metrics(other), "/")[::2] == (200, "")
    until(lambda: len(pages()) == 1, "the end of the other renderings")


def test_two_pages_that_hang_delay_all_others_and_are_named(registry, hanging):
    app = asgi.exposition(registry)
    for path in ("/metrics", "/metrics.json"):
        abandon(app, path, hanging.entered)
    other = asgi.metrics(Registry())
    for query in ("", "?name[]=a", "?name[]=b"):
        answer = ask(other, f"/{query}", **SHORT)
        assert answer.status == 503
        assert "other pages wait for the value of Gauge 'slow', whose" in answer.text
    assert ask(app, "/healthz").status == 200
    assert len(pages()) == 2
    # Requests that have stopped waiting leave nothing in the queue.
    assert len(RENDERINGS._flights) == 2
    assert not RENDERINGS._queue


def test_a_page_in_the_queue_is_rendered_when_a_thread_is_free(registry, hanging):
    app, other = asgi.exposition(registry), asgi.metrics(Registry())
    for path in ("/metrics", "/metrics.json"):
        abandon(app, path, hanging.entered)

    async def scrape() -> None:
        queued = asyncio.create_task(asked(other, "/", **LONG))
        await settle()
        hanging.release.set()
        assert (await queued).status == 200

    asyncio.run(scrape())


def test_idle_pages_have_no_thread(registry):
    assert ask(asgi.metrics(registry), "/").status == 200
    until(lambda: not pages(), "the end of the rendering")
    assert not RENDERINGS._flights


def test_a_slow_page_names_no_instrument_that_is_not_being_read(registry, monkeypatch):
    entered, release = threading.Event(), threading.Event()

    def slow(chunks: Iterator[bytes]) -> bytes:
        body = b"".join(chunks)
        entered.set()
        release.wait(PATIENCE)
        return body

    monkeypatch.setattr("metrics.integrations._serving.pages.compress", slow)
    app = asgi.metrics(registry)

    async def scrape() -> Answer:
        task = asyncio.create_task(asked(app, "/", accept_encoding="gzip", **LONG))
        assert await asyncio.to_thread(entered.wait, PATIENCE)
        answer = await asked(app, "/", accept_encoding="gzip", **SHORT)
        task.cancel()
        return answer

    answer = asyncio.run(scrape())
    assert (answer.status, answer.text) == (
        503,
        "the page was not ready within 0.009 s; select fewer names, or raise the scrape timeout\n",
    )
    release.set()
    until(lambda: not pages(), "the end of the rendering")


def test_an_instrument_that_raises_does_not_stay_named(registry, hanging):
    def fail() -> float:
        raise ValueError

    registry.gauge("a", function=fail)
    registry.gauge("zz", function=fail)
    app = asgi.metrics(registry)
    abandon(app, "/", hanging.entered)
    assert "for the value of Gauge 'slow', whose" in ask(app, "/", **SHORT).text


def test_a_page_that_cannot_be_rendered_is_500_without_the_reason(registry, monkeypatch, caplog):
    def fail(chunks: Iterator[bytes]) -> bytes:
        raise SystemExit("secret")

    monkeypatch.setattr("metrics.integrations._serving.pages.compress", fail)
    for create, request in ((asgi.metrics, ask), (wsgi.metrics, ask_wsgi)):
        answer = request(create(registry), "/", accept_encoding="gzip")
        assert answer.status == 500
        assert "secret" not in answer.text
    assert [str(record.exc_info[1]) for record in caplog.records] == ["secret", "secret"]


def test_a_thread_that_cannot_start_is_500_and_the_next_request_tries_again(registry, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    app = asgi.metrics(registry)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            assert ask(app, "/").status == 500
    assert ask(app, "/").status == 200
    assert not RENDERINGS._flights


@pytest.mark.parametrize("create", [asgi.exposition, wsgi.exposition])
def test_health_checks_have_threads_of_their_own(create, registry, hanging):
    check = Hanging()
    registry.healthcheck("db", check, timeout=0.01)
    request = ask if create is asgi.exposition else ask_wsgi
    app = create(registry, health_timeout=PATIENCE)
    pages_of = asgi.exposition(registry)
    for path in ("/metrics", "/metrics.json"):
        abandon(pages_of, path, hanging.entered)
    answer = request(app, "/healthz")
    assert answer.status == 503
    assert "FAIL db: " in answer.text
    check.release.set()
    until(lambda: request(app, "/healthz").status == 200, "a healthy answer")
    until(lambda: not HEALTH._flights, "the end of the checks")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 10.0),
        ("10", 9.5),
        (" 10.000 ", 9.5),
        ("5", 4.5),
        ("1", 0.9),
        ("0.5", 0.45),
        ("3600", 59.5),
        ("999999999", 59.5),
        ("0", 10.0),
        ("0.000", 10.0),
        ("-1", 10.0),
        ("nan", 10.0),
        ("inf", 10.0),
        ("1e3", 10.0),
        ("1_0", 10.0),
        ("٣", 10.0),
        ("10s", 10.0),
        ("10, 20", 10.0),
        ("9" * 5000, 10.0),
    ],
)
def test_the_limit_is_the_scrapers_less_a_margin(header, seconds):
    assert seconds_to_wait(header, 10.0) == pytest.approx(seconds)


def test_the_default_limit_is_a_keyword(registry, hanging):
    for app in (asgi.metrics(registry, timeout=0.01), asgi.exposition(registry, timeout="10ms")):
        assert "within 0.01 s" in ask(app, "/metrics").text
    assert "within 0.01 s" in ask_wsgi(wsgi.metrics(registry, timeout=0.01), "/").text


@contextmanager
def scraping(address, path: str) -> Iterator[HTTPConnection]:
    """Send a request, whose answer nobody reads."""
    connection = HTTPConnection(address.host, address.port, timeout=PATIENCE)
    connection.request("GET", path)
    try:
        yield connection
    finally:
        connection.close()


def test_a_real_server_stops_in_time_while_a_gauge_hangs(registry, hanging):
    with serve(asgi.exposition(registry), port=0) as address:
        for _ in range(10):
            with scraping(address, "/metrics"):
                assert hanging.entered.wait(PATIENCE)
        for path, status in (("/healthz", 200), ("/metrics?name[]=hits_total", 200)):
            with scraping(address, path) as connection:
                assert connection.getresponse().status == status
        connection = HTTPConnection(address.host, address.port, timeout=PATIENCE)
        connection.request("GET", "/metrics", headers={LIMIT.replace("_", "-"): "0.01"})
        response = connection.getresponse()
        assert (response.status, b"Gauge 'slow'" in response.read()) == (503, True)
        connection.close()
    assert hanging.calls == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, PATIENCE)


class TestForked:
    pytestmark = forking

    def test_a_child_renders_pages_while_those_of_its_parent_hang(self, registry, hanging):
        app = asgi.exposition(registry)
        for path in ("/metrics", "/metrics.json"):
            abandon(app, path, hanging.entered)
        parent = os.getpid()

        def scrape() -> list[int]:
            hanging.release.set()
            served = [ask(app, path).status for path in ("/metrics", "/metrics.json", "/healthz")]
            return [*served, len(RENDERINGS._flights), os.getpid() != parent]

        assert in_child(scrape) == [200, 200, 200, 0, True]
        assert ask(app, "/metrics", **SHORT).status == 503

    def test_a_function_that_forks_does_no_harm(self, registry):
        statuses = []

        def fork() -> float:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return 1.0

        registry.gauge("forking", function=fork)
        assert ask(asgi.metrics(registry), "/").text.endswith("hits_total 1\n")
        assert statuses == [0]
