"""Events of the live page: state, then differences, one read for all viewers, and bounds."""

import asyncio
import json
import threading
from contextlib import AsyncExitStack

import pytest

import metrics.integrations._dashboard.hub as hub_module
import metrics.integrations._dashboard.viewers as viewers_module
from metrics import Registry
from metrics.integrations import asgi
from metrics.integrations._dashboard.messages import MessageLog
from metrics.testing import ManualTicker
from tests.integrations.asking import asked
from tests.integrations.dashboard.viewing import PATIENCE, Watcher, hubs, scope_of, until, watching


@pytest.fixture
def ticker() -> ManualTicker:
    ticker = ManualTicker()
    ticker.start()
    return ticker


@pytest.fixture
def registry(ticker) -> Registry:
    return Registry(ticker=ticker, clock=ticker.clock)


def run(coroutine) -> None:
    asyncio.run(coroutine)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "metrics-dashboard"]


def test_the_state_comes_first_and_then_only_differences(registry, ticker):
    hits = registry.counter("hits", description="Requests", unit="bytes")
    registry.gauge("size").set(1.5)
    app = asgi.exposition(registry, title="<b>")

    async def main() -> None:
        async with watching(app) as viewer:
            state = await viewer.next()
            assert viewer.status == 200
            assert viewer.headers["Content-Type"] == "text/event-stream"
            assert viewer.headers["X-Accel-Buffering"] == "no"
            assert "no-store" in viewer.headers["Cache-Control"]
            assert viewer.text.startswith("retry: 1000\n\n")
            content = state.content
            assert (state.name, content["version"], content["title"]) == ("state", 1, "<b>")
            assert content["time"] == ticker.clock.time()
            assert (content["interval"], content["container"]) == (5.0, None)
            assert content["workers"] is None
            assert content["reporters"] == []
            assert [(s["id"], s["name"], s["kind"]) for s in content["series"]] == [
                (1, "hits", "Counter"),
                (2, "size", "Gauge"),
            ]
            assert content["series"][0]["description"] == "Requests"
            assert content["values"] == {"1": [0], "2": [1.5]}
            hits.inc(3)
            registry.counter("new")
            ticker.advance(5.0)
            tick = await viewer.next()
            assert (tick.name, tick.content["values"]) == ("tick", {"1": [3], "3": [0]})
            assert [each["name"] for each in tick.content["added"]] == ["new"]
            assert tick.content["time"] == content["time"] + 5.0
            registry.unregister("new")
            ticker.advance(5.0)
            assert (await viewer.next()).content["removed"] == [3]
            ticker.advance(5.0)
            empty = await viewer.next()
            assert empty.content == {"time": content["time"] + 15.0, "values": {}}

    run(main())


def test_a_hundred_viewers_cost_one_read_for_each_tick(registry, ticker):
    reads: list[int] = []
    registry.gauge("reads", function=lambda: reads.append(1) or len(reads))
    app = asgi.exposition(registry)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(watching(app)) for _ in range(100)]
            for viewer in viewers:
                await viewer.next("state")
            assert len(reads) == 1
            for count in (2, 3):
                ticker.advance(5.0)
                ticks = [await viewer.next("tick") for viewer in viewers]
                assert len(reads) == count
                assert {json.dumps(tick) for tick in ticks} == {json.dumps(ticks[0])}
                assert ticks[0].content["values"] == {"1": [float(count)]}
            refused = await asked(app, "/dashboard/events")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "10")

    run(main())


def test_without_a_viewer_nothing_is_read_and_nothing_runs(registry, ticker):
    reads: list[int] = []
    registry.gauge("reads", function=lambda: reads.append(1) or 0.0)
    app = asgi.exposition(registry)

    async def main() -> None:
        assert (await asked(app, "/", accept="text/html")).status == 200
        assert (await asked(app, "/dashboard/events", "HEAD")).status == 200
        history = await asked(app, "/dashboard/history.json")
        assert json.loads(history.text)["series"] == {}
        ticker.advance(50.0)
        assert (reads, len(ticker), hubs(app), threads()) == ([], 0, [], [])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_while_after_the_last_viewer_nothing_is_read_or_kept(registry, ticker, monkeypatch):
    registry.gauge("size", function=lambda: 1.0)
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
        (hub,) = hubs(app)
        hub._check()
        assert len(ticker) == 1
        monkeypatch.setattr(hub_module, "LINGER_SECONDS", 0.0)
        hub._check()
        assert (len(ticker), hubs(app)) == (0, [])
        assert hub._number in hub_module.free_numbers
        async with watching(app) as viewer:
            assert (await viewer.next("state")).content["boot"] != hub.boot

    run(main())


def test_a_client_that_comes_back_continues_after_its_last_message(registry, ticker):
    hits = registry.counter("hits")
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer, watching(app) as other:
            await viewer.next("state")
            last = await other.next("state")
            viewer.gone.set()
            for count in (1, 2):
                hits.inc()
                ticker.advance(5.0)
                last_of_other = await other.next("tick")
                assert last_of_other.content["values"] == {"1": [count]}
        async with watching(app, last.identity) as viewer:
            continued = await viewer.next()
            assert (continued.name, continued.content["boot"]) == (
                "continued",
                last.content["boot"],
            )
            missed = [await viewer.next(), await viewer.next()]
            assert [tick.content["values"] for tick in missed] == [{"1": [1]}, {"1": [2]}]
            assert missed[-1].identity == last_of_other.identity
        async with watching(app, last_of_other.identity) as viewer:
            assert (await viewer.next()).name == "continued"
            assert viewer.rest == []
            hits.inc()
            ticker.advance(5.0)
            assert (await viewer.next()).content["values"] == {"1": [3]}

    run(main())


@pytest.mark.parametrize(
    "identity", ["", "0000-1", "nonsense", "{boot}-99", "{boot}-", "{boot}-x", "{boot}-" + "9" * 99]
)
def test_a_client_with_an_unknown_identity_gets_the_state(identity, registry):
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as first:
            boot = (await first.next("state")).content["boot"]
            async with watching(app, identity.format(boot=boot)) as viewer:
                assert (await viewer.next()).name == "state"

    run(main())


def test_messages_are_kept_for_a_minute():
    log = MessageLog("b")
    for second in range(0, 100, 10):
        log.add("tick", {"second": second}, float(second))
    assert log.missed("b-3") is not None
    assert log.missed("b-2") is None
    assert log.missed("b-10") == b""
    assert log.missed("a-10") is None


def test_a_viewer_that_does_not_read_is_ended(registry, ticker):
    hits = registry.counter("hits")
    app = asgi.exposition(registry)

    async def main() -> None:
        slow = Watcher()
        scope = scope_of("/dashboard/events")
        task = asyncio.create_task(app(scope, slow.receive, slow.send))
        async with watching(app) as viewer:
            await viewer.next("state")
            await slow.next("state")
            slow.reads.clear()
            for _ in range(viewers_module.MOST_WAITING + 3):
                hits.inc()
                ticker.advance(5.0)
                await viewer.next("tick")
            async with asyncio.timeout(PATIENCE):
                await task
            assert not slow.ended

    run(main())


def test_a_read_that_hangs_skips_ticks_and_is_named(registry, ticker):
    begun, release = threading.Event(), threading.Event()
    hangs = False

    def value() -> float:
        if hangs:
            begun.set()
            release.wait(PATIENCE)
        return 1.0

    registry.gauge("a/slow", function=value)
    hits = registry.counter("hits")
    app = asgi.exposition(registry)

    async def main() -> None:
        nonlocal hangs
        async with watching(app) as viewer:
            await viewer.next("state")
            hangs = True
            ticker.advance(5.0)
            await asyncio.to_thread(begun.wait, PATIENCE)
            hits.inc()
            ticker.advance(5.0)
            assert (await viewer.next("tick")).content["late"] == ["a/slow"]
            async with watching(app) as other:
                # The values of the last read.
                assert (await other.next("state")).content["values"] == {"1": [1.0], "2": [0]}
            hangs = False
            release.set()
            assert (await viewer.next("tick")).content["values"] == {"2": [1]}

    run(main())


def test_the_first_read_may_hang_and_the_page_comes_all_the_same(registry, monkeypatch):
    release = threading.Event()
    registry.gauge("slow", function=lambda: release.wait(PATIENCE) and 1.0)
    app = asgi.exposition(registry)
    monkeypatch.setattr(hub_module, "CHECK_SECONDS", 0.05)

    async def main() -> None:
        async with watching(app) as viewer:
            assert (await viewer.next("state")).content["series"] == []
            release.set()
            assert [e["name"] for e in (await viewer.next("tick")).content["added"]] == ["slow"]

    run(main())


@pytest.mark.filterwarnings("ignore")
def test_a_read_that_fails_is_logged_once(registry, ticker, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise OSError("the group is gone")

    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            (hub,) = hubs(app)
            monkeypatch.setattr(hub_module, "read", fail)
            for _ in range(3):
                ticker.advance(5.0)
                await until(lambda: hub._reading is None and hub._is_failing)
            monkeypatch.undo()
            ticker.advance(5.0)
            await viewer.next("tick")

    run(main())
    assert [record.message for record in caplog.records] == [
        "the live page cannot read the registry"
    ]


def test_a_stream_ends_by_itself_and_announces_that(registry, monkeypatch):
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            state = await viewer.next("state")
            monkeypatch.setattr(hub_module, "STREAM_SECONDS", 0.0)
            hubs(app)[0]._check()
            renewal = await viewer.next()
            assert (renewal.name, renewal.identity) == ("renewal", state.identity)
            await viewer.end()

    run(main())


def test_a_silent_stream_has_comments(registry, monkeypatch):
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            monkeypatch.setattr(hub_module, "COMMENT_SECONDS", 0.0)
            (hub,) = hubs(app)
            hub._check()
            await until(lambda: viewer.text.endswith("\n\n:\n\n"))

    run(main())


def test_of_a_fast_ticker_some_ticks_are_sent():
    ticker = ManualTicker(0.3)
    ticker.start()
    registry = Registry(ticker=ticker, clock=ticker.clock)
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            state = (await viewer.next("state")).content
            assert state["interval"] == pytest.approx(1.2)
            for _ in range(8):
                ticker.advance(0.3)
            times = [(await viewer.next("tick")).content["time"]]
            assert times[0] >= state["time"] + 1.2

    run(main())


def test_a_registry_without_a_ticker_is_read_all_the_same(monkeypatch):
    registry = Registry()
    registry.counter("hits")
    monkeypatch.setattr(hub_module, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(hub_module, "interval_of", lambda _: 0.02)
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            await viewer.next("tick")
            await viewer.next("tick")

    run(main())


HOSTILE = "</script>\u2028\n\n\x00\"'\\event: stopped\ndata: x\r\n\ud800 \U0001f4a9"


def test_hostile_texts_arrive_as_they_are(registry, ticker):
    family = registry.counters("hits", labels=("path",), description="<i>")
    family.labels(HOSTILE).inc()
    registry.info("build").set({"version": HOSTILE})
    registry.healthcheck("db").unhealthy(HOSTILE)
    app = asgi.exposition(registry, title=HOSTILE)

    async def main() -> None:
        async with watching(app) as viewer:
            state = await viewer.next()
            assert viewer.text.isascii()
            content = state.content
            assert content["title"] == HOSTILE
            labels = [each["labels"] for each in content["series"] if each["name"] == "hits"]
            assert labels == [{"path": HOSTILE}]
            assert content["values"]["1"] == [f"version={HOSTILE}"]
            assert "</script>" in content["health"][0]["error"]
            assert len(viewer.rest) == 0

    run(main())


def test_the_history_is_served_with_and_without_compression(registry, ticker):
    hits = registry.counter("hits")
    registry.bucket_histogram("sizes", bounds=[1.0, 2.0])
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            state = (await viewer.next("state")).content
            for _ in range(2):
                hits.inc()
                ticker.advance(5.0)
                await viewer.next("tick")
            answer = await asked(app, "/dashboard/history.json")
            assert answer.headers["Content-Type"] == "application/json"
            history = json.loads(answer.text)
            assert history["boot"] == state["boot"]
            start = state["time"]
            assert history["times"] == [start, start + 5.0, start + 10.0]
            assert history["series"]["1"] == [[0.0, 1.0, 2.0]]
            assert history["series"]["2"] == [[0.0] * 3, *[[None] * 3] * 3]
            assert history["heat"] == {"2": [[], [], []]}
            head = await asked(app, "/dashboard/history.json", "POST")
            assert head.status == 405

    run(main())


def test_each_event_loop_has_a_hub_and_a_reader_of_its_own(registry, ticker):
    timer = registry.resetting_timer("pause")
    app = asgi.exposition(registry)
    barrier = threading.Barrier(2)
    counts: list[object] = []

    def view() -> None:
        async def main() -> None:
            async with watching(app) as viewer:
                await viewer.next("state")
                barrier.wait(PATIENCE)
                if barrier.wait(PATIENCE) == 0:
                    timer.update(2.0)
                    ticker.advance(5.0)
                tick = await viewer.next("tick")
                counts.append(tick.content["values"]["1"][:2])
                barrier.wait(PATIENCE)

        asyncio.run(main())

    both = [threading.Thread(target=view) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(PATIENCE)
    assert counts == [[1, 2.0]] * 2
    # The loops were closed without a word to the hubs; a tick notices that.
    ticker.advance(5.0)
    assert (len(ticker), hubs(app)) == (0, [])
