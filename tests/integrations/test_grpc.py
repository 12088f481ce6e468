"""Calls of real gRPC servers are measured, in threads and in asyncio, whichever way they end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import grpc as official
import pytest

from metrics import DuplicateMetricError, Registry
from metrics.exporters import prometheus
from metrics.integrations.grpc import aio_server, rpc, server, status_of
from metrics.lifecycle import MetricsContainer, Resource, check
from metrics.testing import ManualClock
from tests.integrations.measuring import levels
from tests.processes import LOOPBACK, until

DURATION = "rpc.server.duration"
ACTIVE = "rpc.server.active_requests"

SERVICE = "shop.Items"
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.so_reuseport", 0)]

StatusCode = official.StatusCode


class Behaviors:
    """Functions of a server with threads, by the text of the request."""

    def __init__(self):
        self.released = threading.Event()
        self.clock = None

    def act(self, request, context):
        match request:
            case b"fail":
                raise LookupError("no item")
            case b"abort":
                context.abort(StatusCode.NOT_FOUND, "no item")
            case b"code":
                context.set_code(StatusCode.INVALID_ARGUMENT)
            case b"code and fail":
                context.set_code(StatusCode.DATA_LOSS)
                raise LookupError("no item")
            case b"wait":
                ended = threading.Event()
                context.add_callback(ended.set)
                ended.wait(20)
            case b"slow":
                self.clock.advance(2)
        return request

    def unary_unary(self, request, context):
        return self.act(request, context)

    def unary_stream(self, request, context):
        yield b"first"
        yield self.act(request, context)

    def stream_unary(self, requests, context):
        return b"".join(self.act(request, context) for request in requests)

    def stream_stream(self, requests, context):
        for request in requests:
            yield self.act(request, context)


class AsyncBehaviors(Behaviors):
    """Functions of a server in asyncio."""

    async def act(self, request, context):
        if request == b"abort":
            await context.abort(StatusCode.NOT_FOUND, "no item")
        if request == b"wait":
            await asyncio.Event().wait()
        return super().act(request, context)

    async def unary_unary(self, request, context):
        return await self.act(request, context)

    async def unary_stream(self, request, context):
        yield b"first"
        yield await self.act(request, context)

    async def stream_unary(self, requests, context):
        return b"".join([await self.act(request, context) async for request in requests])

    async def stream_stream(self, requests, context):
        async for request in requests:
            yield await self.act(request, context)


class WritingBehaviors(AsyncBehaviors):
    """Functions of a server in asyncio that read and write their messages by the context."""

    async def unary_stream(self, request, context):
        await context.write(b"first")
        await context.write(await self.act(request, context))

    async def stream_unary(self, requests, context):
        request = await context.read()
        assert await context.read() == official.aio.EOF
        return await self.act(request, context)

    async def stream_stream(self, requests, context):
        while (request := await context.read()) != official.aio.EOF:
            await context.write(await self.act(request, context))


def handlers(behaviors):
    found = {
        kind: getattr(official, f"{kind}_rpc_method_handler")(getattr(behaviors, kind))
        for kind in KINDS
    }
    return [official.method_handlers_generic_handler(SERVICE, found)]


@contextmanager
def threads_serving(behaviors, *interceptors, **options):
    """Serve in threads; yield the port."""
    with ThreadPoolExecutor(4) as executor:
        found = official.server(
            executor, handlers(behaviors), interceptors, options=OPTIONS, **options
        )
        port = found.add_insecure_port(f"{LOOPBACK}:0")
        found.start()
        try:
            yield port
        finally:
            behaviors.released.set()
            found.stop(None).wait()


@contextmanager
def asyncio_serving(behaviors, *interceptors, **options):
    """Serve in the event loop of a thread; yield the port."""
    started = threading.Event()
    state = {}

    async def main():
        found = official.aio.server(
            ThreadPoolExecutor(4), handlers(behaviors), interceptors, options=OPTIONS, **options
        )
        state["port"] = found.add_insecure_port(f"{LOOPBACK}:0")
        state["loop"], state["stop"] = asyncio.get_running_loop(), asyncio.Event()
        await found.start()
        started.set()
        await state["stop"].wait()
        await found.stop(None)

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    assert started.wait(20)
    try:
        yield state["port"]
    finally:
        behaviors.released.set()
        state["loop"].call_soon_threadsafe(state["stop"].set)
        thread.join()


SERVERS = {
    "threads": (Behaviors, threads_serving, server),
    "asyncio": (AsyncBehaviors, asyncio_serving, aio_server),
    "asyncio, written": (WritingBehaviors, asyncio_serving, aio_server),
    "asyncio, functions": (Behaviors, asyncio_serving, aio_server),
}


class Client:
    """Calls to a server, and their numbers as recorded."""

    def __init__(self, port, registry, clock, behaviors, instruments):
        self.port = port
        self.registry = registry
        self.clock = clock
        self.behaviors = behaviors
        self.instruments = instruments

    def start(self, kind, request, service=SERVICE, timeout=20):
        """Start a call; return its iterator of responses or its future."""
        channel = official.insecure_channel(f"{LOOPBACK}:{self.port}", OPTIONS)
        if timeout < 20:
            # The time is for the handler.
            official.channel_ready_future(channel).result(20)
        method = getattr(channel, kind)(f"/{service}/{kind}")
        sent = iter([request]) if kind.startswith("stream") else request
        call = method if kind.endswith("stream") else method.future
        return channel, call(sent, timeout=timeout)

    def call(self, kind, request, **options):
        """Return the name of the status of a call, after its last response."""
        channel, call = self.start(kind, request, **options)
        with channel:
            try:
                for _ in call if kind.endswith("stream") else [call.result()]:
                    pass
            except official.RpcError as error:
                return error.code().name
            return call.code().name

    def read(self, name, field="count"):
        children = self.registry.snapshot()[name].children
        return {labels[2:]: getattr(child, field) for labels, child in children.items()}

    @property
    def calls(self):
        return self.read(DURATION)

    @property
    def active(self):
        return sum(self.read(ACTIVE).values())

    def wait_for(self, *calls):
        """Wait until these calls have been recorded, and no others."""

        def is_recorded():
            assert self.calls == dict.fromkeys(calls, 1)
            return True

        until(is_recorded, "the calls have ended")
        assert self.active == 0


@contextmanager
def serving(name, **options):
    behaviors_class, serve, interceptor = SERVERS[name]
    clock = ManualClock()
    registry = Registry(clock=clock)
    behaviors = behaviors_class()
    behaviors.clock = clock
    with (
        rpc(registry, **options) as instruments,
        serve(behaviors, interceptor(instruments)) as port,
    ):
        yield Client(port, registry, clock, behaviors, instruments)


@pytest.mark.parametrize("name", SERVERS)
def test_calls_of_all_kinds_have_the_status_that_the_client_gets(name):
    expected = {}
    with serving(name) as client:
        for kind in KINDS:
            for request, status in (
                (b"hello", StatusCode.OK),
                (b"fail", StatusCode.UNKNOWN),
                (b"abort", StatusCode.NOT_FOUND),
                (b"code", StatusCode.INVALID_ARGUMENT),
                (b"code and fail", StatusCode.DATA_LOSS),
            ):
                if (name, request, kind[-6:]) == ("asyncio, functions", b"abort", "stream"):
                    # gRPC fails if the response before is still under way, without us as well.
                    continue
                assert client.call(kind, request) == status.name
                expected[kind, str(status.value[0])] = 1
            assert client.call(kind, b"hello") == "OK"
            expected[kind, "0"] = 2
        assert client.calls == expected
        assert client.active == 0
        services = {labels[:2] for labels in client.registry.snapshot()[DURATION].children}
        assert services == {("grpc", SERVICE)}


@pytest.mark.parametrize("name", ["threads", "asyncio", "asyncio, written"])
def test_cancelled_calls_and_deadlines_have_their_status(name, monkeypatch):
    # On a busy machine a client's deadline passes long before that of the server.
    monkeypatch.setattr("metrics.integrations.grpc.DEADLINE_TOLERANCE", 0.9)
    with serving(name) as client:
        for kind in KINDS:
            channel, call = client.start(kind, b"wait")
            with channel:
                until(lambda: client.active == 1, "the handler runs")
                if kind == "unary_stream":
                    assert next(call) == b"first"
                call.cancel()
            until(lambda: client.active == 0, "the handler has ended")
        cancelled = [(kind, "1") for kind in KINDS]
        client.wait_for(*cancelled)
        calls = [client.start(kind, b"wait", timeout=1) for kind in KINDS]
        for channel, call in calls:
            until(lambda call=call: call.code() == StatusCode.DEADLINE_EXCEEDED, "the deadline")
            channel.close()
        client.wait_for(*cancelled, *[(kind, "4") for kind in KINDS])


@pytest.mark.parametrize(
    ("remaining", "status"), [(None, 1), (20.0, 1), (0.1, 1), (0.04, 4), (0.0, 4)]
)
def test_a_client_that_leaves_at_its_deadline_may_be_earlier_than_the_clock(remaining, status):
    context = SimpleNamespace(time_remaining=lambda: remaining)
    for error in (asyncio.CancelledError(), GeneratorExit(), official.aio.InternalError()):
        assert status_of(context, error) == status
    context.is_active = lambda: False
    assert status_of(context, None) == status


@pytest.mark.parametrize("name", ["threads", "asyncio", "asyncio, written"])
def test_a_stream_whose_client_leaves_between_responses_is_cancelled(name):
    class Endless(SERVERS[name][0]):
        def unary_stream(self, request, context):
            while not self.released.wait(0.001):
                yield b"x" * 100_000

    class AsyncEndless(SERVERS[name][0]):
        async def unary_stream(self, request, context):
            while True:
                yield b"x" * 100_000

    class WritingEndless(SERVERS[name][0]):
        async def unary_stream(self, request, context):
            while True:
                await context.write(b"x" * 100_000)

    _, serve, interceptor = SERVERS[name]
    endless = {"asyncio": AsyncEndless, "asyncio, written": WritingEndless}.get(name, Endless)
    registry = Registry()
    behaviors = endless()
    with rpc(registry) as instruments, serve(behaviors, interceptor(instruments)) as port:
        client = Client(port, registry, None, behaviors, instruments)
        channel, call = client.start("unary_stream", b"")
        with channel:
            assert next(call)
            assert client.active == 1
            call.cancel()
        client.wait_for(("unary_stream", "1"))


@pytest.mark.parametrize("name", SERVERS)
def test_unknown_methods_are_one_series(name):
    with serving(name) as client:
        for number in range(3):
            assert client.call("unary_unary", b"", service=f"none{number}") == "UNIMPLEMENTED"
        assert client.calls == {("_OTHER", "12"): 3}
        assert set(client.registry.snapshot()[DURATION].children) == {
            ("grpc", "_OTHER", "_OTHER", "12")
        }


@pytest.mark.parametrize("name", SERVERS)
def test_durations_are_in_seconds_until_the_last_response(name):
    with serving(name) as client:
        for kind in KINDS:
            assert client.call(kind, b"slow") == "OK"
        assert client.read(DURATION, "sum") == {(kind, "0"): 2.0 for kind in KINDS}


@pytest.mark.parametrize("exclude", [[f"/{SERVICE}/unary_unary"], [SERVICE]])
def test_services_and_methods_can_be_excluded(exclude):
    with serving("threads", exclude=exclude) as client:
        assert client.call("unary_unary", b"hello") == "OK"
        assert client.call("stream_stream", b"hello") == "OK"
        left = {} if exclude == [SERVICE] else {("stream_stream", "0"): 1}
        assert client.calls == left


def test_above_the_limit_methods_share_one_series():
    class AnyMethod(official.GenericRpcHandler):
        def service(self, details):
            return official.unary_unary_rpc_method_handler(lambda request, context: request)

    with serving("threads", max_series=2) as client:
        with ThreadPoolExecutor(1) as executor:
            found = official.server(
                executor, [AnyMethod()], [server(client.instruments)], options=OPTIONS
            )
            client.port = found.add_insecure_port(f"{LOOPBACK}:0")
            found.start()
            for number in range(6):
                assert client.call("unary_unary", b"", service=f"shop{number}") == "OK"
            found.stop(None).wait()
        children = client.registry.snapshot()[DURATION].children
        assert {labels[1]: child.count for labels, child in children.items()} == {
            "shop0": 1,
            "shop1": 1,
            "_overflow": 4,
        }
        assert client.active == 0


def test_functions_keep_their_thread_pool_and_those_without_blocking_pass_unmeasured():
    behaviors = Behaviors()
    names = []

    def pooled(request, context):
        names.append(threading.current_thread().name)
        return request

    def non_blocking(request, context, send):
        send(b"one")
        send(None)

    with ThreadPoolExecutor(1, "own") as executor:
        pooled.experimental_thread_pool = executor
        behaviors.unary_unary = pooled
        non_blocking.experimental_non_blocking = True
        behaviors.unary_stream = non_blocking
        registry = Registry()
        with (
            rpc(registry) as instruments,
            threads_serving(behaviors, server(instruments)) as port,
        ):
            client = Client(port, registry, None, behaviors, instruments)
            assert client.call("unary_unary", b"") == "OK"
            assert client.call("unary_stream", b"") == "OK"
            assert names == ["own_0"]
            assert client.calls == {("unary_unary", "0"): 1}


def test_an_iterator_is_required_of_streams_as_without_the_interceptor():
    behaviors = Behaviors()
    behaviors.unary_stream = lambda request, context: [b"first"]
    behaviors.stream_stream = lambda request, context: iter([b"first"])
    behaviors.stream_unary = lambda request, context: 5
    registry = Registry()
    with rpc(registry) as instruments, threads_serving(behaviors, server(instruments)) as port:
        client = Client(port, registry, None, behaviors, instruments)
        assert client.call("unary_stream", b"") == "UNKNOWN"
        assert client.call("stream_stream", b"") == "OK"
        assert client.calls == {("unary_stream", "2"): 1, ("stream_stream", "0"): 1}
        assert client.active == 0


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    rpc = Resource(rpc, registry)


@pytest.mark.parametrize("name", ["threads", "asyncio"])
def test_calls_are_measured_while_the_container_runs(name, caplog):
    behaviors_class, serve, interceptor = SERVERS[name]
    container = Container()
    assert check(container) == ()
    behaviors = behaviors_class()
    with serve(behaviors, interceptor(container.rpc)) as port:
        client = Client(port, None, None, behaviors, None)
        for _ in range(2):
            assert client.call("unary_unary", b"hello") == "OK"
        assert levels(caplog) == [30]
        assert "calls are served unmeasured" in caplog.text
        for _ in range(2):
            container.init_resources()
            client.registry = container.registry()
            assert client.call("unary_unary", b"hello") == "OK"
            assert client.calls == {("unary_unary", "0"): 1}
            container.shutdown_resources()
            assert client.call("stream_stream", b"hello") == "OK"
    assert levels(caplog) == [30] * 3


def test_a_failing_clock_fails_no_call(caplog):
    class Clock(ManualClock):
        left = 3

        def monotonic_ns(self):
            self.left -= 1
            if self.left < 0:
                raise LookupError("no time")
            return super().monotonic_ns()

    registry = Registry(clock=Clock())
    behaviors = Behaviors()
    with rpc(registry) as instruments, threads_serving(behaviors, server(instruments)) as port:
        client = Client(port, registry, None, behaviors, instruments)
        for kind in KINDS:
            assert client.call(kind, b"hello") == "OK"
        assert client.call("unary_unary", b"", service="none") == "UNIMPLEMENTED"
        assert client.active == 0
        assert client.calls == {("unary_unary", "0"): 1}
    assert levels(caplog) == [40]


@pytest.mark.parametrize(
    ("code", "threads", "asynchronous"),
    [(None, 0, 0), (StatusCode.NOT_FOUND, 5, 5), (StatusCode.OK, 0, 0), (5, 2, 5), (0, 2, 0)],
)
def test_numbers_are_codes_in_asyncio_alone(code, threads, asynchronous):
    context = SimpleNamespace(code=lambda: code)
    assert status_of(context, None) == asynchronous
    assert status_of(context, LookupError()) == (asynchronous or 2)
    context.is_active = lambda: True
    assert status_of(context, None) == threads
    assert status_of(context, LookupError()) == (threads or 2)


@pytest.mark.parametrize("create", [server, aio_server])
def test_a_wrong_provider_is_an_error(create):
    with pytest.raises(TypeError, match=r"invalid rpc 5: pass the provider of a `grpc.rpc`"):
        create(5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exclude": "a.B"}, TypeError, "use a sequence"),
        ({"max_series": 0}, ValueError, "max_series"),
        ({"bounds": [2, 1]}, ValueError, "ascending"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start(options, error, message):
    registry = Registry()
    with pytest.raises(error, match=message), rpc(registry, **options):
        pass
    with rpc(registry), pytest.raises(DuplicateMetricError), rpc(registry):
        pass
    assert len(registry) == 0


def test_pages_show_the_names_of_the_convention():
    with serving("threads") as client:
        client.call("unary_unary", b"hello")
        lines = prometheus.render(client.registry).decode().splitlines()
    labels = f'rpc_system="grpc",rpc_service="{SERVICE}",rpc_method="unary_unary"'
    status = 'rpc_grpc_status_code="0"'
    assert f"rpc_server_duration_seconds_count{{{labels},{status}}} 1" in lines
    assert f"rpc_server_active_requests{{{labels}}} 0" in lines
