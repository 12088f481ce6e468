"""Measured servers of gRPC, in threads and in asyncio.

A container declares the instruments, and each server gets an interceptor, the first one:

    class Container(MetricsContainer):
        rpc = Resource(integrations.grpc.rpc, MetricsContainer.registry)

    grpc.server(executor, interceptors=[integrations.grpc.server(container.rpc)])
    grpc.aio.server(interceptors=[integrations.grpc.aio_server(container.rpc)])

Names and labels follow OpenTelemetry's semantic conventions for RPC, but durations are in seconds,
as all durations of this library, not in milliseconds. A Prometheus page has underscores for dots:

| instrument | labels |
| --- | --- |
| `rpc.server.duration`, in seconds | `rpc.system`, `rpc.service`, `rpc.method`, `rpc.grpc.status_code` |
| `rpc.server.active_requests` | `rpc.system`, `rpc.service`, `rpc.method` |

The second one is not in the convention. The number of calls is the count of their durations.

- the system is `grpc`
- service and method are `_OTHER` for methods that the server does not have
- the status code is the number that the client gets: 0 is OK, 2 an exception, 12 an unknown method;
  1 is a call that the client cancelled, 4 one whose deadline passed before its handler ended, or
  was less than 50 ms away when the client left, because the news may be faster than the clock
- a call begins when the server has read its method, and ends with its handler or its last response.
  It is under way while the handler runs; the wait for a thread counts as its duration only

Calls that the server rejects by `maximum_concurrent_rpcs`, or whose client leaves before the
handler runs, reach no handler and are not counted. A function that an asyncio server runs in a
thread, for programs that migrate, does not learn that its client has left; its status is its own.
"""  # noqa: E501 - rows of a table

from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial, update_wrapper
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, NamedTuple, Self, final

from metrics._extras import require_extra

with require_extra("grpc"):
    import grpc

from metrics._fork import survives_fork
from metrics.instruments import BucketHistogram, Family, UpDownCounter
from metrics.instruments._inner import Real, Whole, size
from metrics.integrations._binding import ProviderBinding, Wording, registration
from metrics.integrations._failures import Failures
from metrics.integrations._http.instruments import OTHER
from metrics.integrations.http import BOUNDS, MAX_SERIES
from metrics.registry import Registry
from metrics.registry._inner import Registrations

SECOND = 1e9

SYSTEM = "grpc"

OK = 0
CANCELLED = 1
UNKNOWN = 2
DEADLINE_EXCEEDED = 4
UNIMPLEMENTED = 12

DEADLINE_TOLERANCE = 0.05
"""Seconds before a deadline in which a client has left because of it.

A client sends a cancellation at its own deadline. That of the server is the same timeout after the
arrival of the call, rounded up.
"""

CLIENT_LEFT = (CancelledError, GeneratorExit, grpc.aio.InternalError)
"""Exceptions that end a handler whose client has left; the last one is that of its next message."""


class RPCNames(NamedTuple):
    """Names of the instruments and their labels."""

    duration: str
    active: str
    series: tuple[str, ...]
    method: tuple[str, ...]


NAMES = RPCNames(
    "rpc.server.duration",
    "rpc.server.active_requests",
    ("rpc.system", "rpc.service", "rpc.method", "rpc.grpc.status_code"),
    ("rpc.system", "rpc.service", "rpc.method"),
)


@final
class RPCServer:
    """Instruments that the gRPC servers of a process share. Safe to use from any thread.

    Args:
        own: the registrations of the instruments.
        exclude: names of services and methods that are not measured.
        max_series: the largest number of label combinations.
        bounds: upper bounds of durations in seconds.
        now: returns the time in nanoseconds.
    """

    __slots__ = ("_active", "_durations", "_exclude", "_failures", "closed", "now")

    def __init__(
        self,
        own: Registrations,
        exclude: frozenset[str],
        max_series: int,
        bounds: Iterable[Real],
        now: Callable[[], int],
    ) -> None:
        self.closed = False
        self.now = now
        self._exclude = exclude
        self._failures = Failures("a call")
        self._durations: Family[BucketHistogram] = own.bucket_histograms(
            NAMES.duration,
            NAMES.series,
            bounds,
            unit="seconds",
            description="Time from the arrival of calls to their last response",
            max_children=max_series,
        )
        self._active: Family[UpDownCounter] = own.updown_counters(
            NAMES.active,
            NAMES.method,
            description="Calls whose handlers run",
            max_children=max_series,
        )

    def arrive(self, full_method: str) -> "Arrival | None":
        """Return the arrival of a call; None if it is excluded or cannot be measured."""
        with self._failures:
            name = full_method.removeprefix("/")
            service, _, method = name.rpartition("/")
            if name not in self._exclude and service not in self._exclude:
                return Arrival(self, (SYSTEM, service, method), self.now())
        return None

    def enter(self, method: tuple[str, ...]) -> UpDownCounter | None:
        """Count a call as under way; return the number of such calls."""
        with self._failures:
            active = self._active.labels(*method)
            active.inc()
            return active
        return None

    def record(
        self, method: tuple[str, ...], arrived: int, context: Any, error: BaseException | None
    ) -> None:
        """Record a call that has ended; without a context, one to an unknown method."""
        with self._failures:
            seconds = (self.now() - arrived) / SECOND
            status = UNIMPLEMENTED if context is None else status_of(context, error)
            self._durations.labels(*method, str(status)).update(seconds)


class Arrival(NamedTuple):
    """Call that a server has received.

    rpc: the instruments.
    method: system, service and method.
    arrived: the time in nanoseconds.
    """

    rpc: RPCServer
    method: tuple[str, ...]
    arrived: int

    def refuse(self) -> None:
        """Record a call to an unknown method."""
        self.rpc.record((SYSTEM, OTHER, OTHER), self.arrived, None, None)


@final
class ServerCall:
    """Call whose handler runs; it is recorded once, at the end of the handler.

    Args:
        arrival: its arrival.
        context: the context of the call.
    """

    __slots__ = ("_active", "_arrival", "_context", "open")

    def __init__(self, arrival: Arrival, context: Any) -> None:
        self._arrival = arrival
        self._context = context
        self._active = arrival.rpc.enter(arrival.method)
        self.open = True

    def finish(self, error: BaseException | None = None) -> None:
        """Record the call; `error` has ended it, GeneratorExit if the client has left."""
        if not self.open:
            return
        self.open = False
        if self._active is not None:
            self._active.dec()
        rpc, method, arrived = self._arrival
        rpc.record(method, arrived, self._context, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.finish(error)


def status_of(context: Any, error: BaseException | None) -> int:
    """Return the number of the status that the client of a call gets.

    Args:
        context: the context of a server with threads, which knows whether the client has left, or
            of one in asyncio, which cancels the handler then, or fails to send its message.
        error: the exception that ended the handler.
    """
    is_active = getattr(context, "is_active", None)
    if isinstance(error, CLIENT_LEFT) or (is_active and not is_active()):
        remaining = context.time_remaining()
        if remaining is None or remaining > DEADLINE_TOLERANCE:
            return CANCELLED
        return DEADLINE_EXCEEDED
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        number: int = code.value[0]
    elif code is None:
        number = OK
    else:
        # Servers in asyncio take numbers too, and others send UNKNOWN for them.
        number = UNKNOWN if is_active else code
    return UNKNOWN if error is not None and number == OK else number


Source = RPCServer | Callable[[], Any]
"""Instruments of gRPC servers, or their provider."""

WORDING = Wording(
    "rpc",
    "pass the provider of a `grpc.rpc` resource, such as container.rpc",
    "call",
    "with running() or init_resources()",
)


@final
class RPCBinding(ProviderBinding[RPCServer]):
    """Instruments of gRPC servers that the provider of a container gives.

    Args:
        source: the provider, or the instruments themselves.

    Raises:
        TypeError: `source` is neither.
    """

    __slots__ = ()

    def __init__(self, source: Source) -> None:
        super().__init__(source, RPCServer, WORDING)

    def arrive(self, full_method: str) -> Arrival | None:
        """Return the arrival of a call; None if it is not measured."""
        rpc = self.server
        if rpc is None or rpc.closed:
            rpc = self.find()
        return None if rpc is None else rpc.arrive(full_method)


Behavior = Callable[[Any, Any], Any]
"""Function of a handler, with a request, or an iterator of requests, and the context."""


@final
class ServerInterceptor(grpc.ServerInterceptor):  # type: ignore[misc] # gRPC has no types
    """Interceptor of a server with threads, see `server`."""

    def __init__(self, rpc: Source) -> None:
        self._binding = RPCBinding(rpc)

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """Return the handler of a method, measured; None for an unknown method."""
        arrival = self._binding.arrive(handler_call_details.method)
        handler = continuation(handler_call_details)
        return handler if arrival is None else measured_handler(handler, arrival)


@final
class AsyncServerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc] # as above
    """Interceptor of a server in asyncio, see `aio_server`."""

    def __init__(self, rpc: Source) -> None:
        self._binding = RPCBinding(rpc)

    async def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """Return the handler of a method, measured; None for an unknown method."""
        arrival = self._binding.arrive(handler_call_details.method)
        handler = await continuation(handler_call_details)
        return handler if arrival is None else measured_handler(handler, arrival)


def measured_handler(handler: Any, arrival: Arrival) -> Any:
    """Return a handler that measures another one; None for None."""
    if handler is None:
        arrival.refuse()
        return None
    request = "stream" if handler.request_streaming else "unary"
    response = "stream" if handler.response_streaming else "unary"
    behavior = getattr(handler, f"{request}_{response}")
    if getattr(behavior, "experimental_non_blocking", False):
        # It passes its responses to a function, and may return before the first one.
        return handler
    if isasyncgenfunction(behavior):
        measured = measure_generator(behavior, arrival)
    elif iscoroutinefunction(behavior):
        measured = measure_coroutine(behavior, arrival)
    elif handler.response_streaming:
        measured = measure_stream(behavior, arrival)
    else:
        measured = measure_function(behavior, arrival)
    create = getattr(grpc, f"{request}_{response}_rpc_method_handler")
    # A server reads further attributes of the function, such as that of its thread pool.
    return create(
        update_wrapper(measured, behavior),
        handler.request_deserializer,
        handler.response_serializer,
    )


def measure_function(behavior: Behavior, arrival: Arrival) -> Behavior:
    """Measure a function that runs in a thread and returns the response."""

    def respond(request: Any, context: Any) -> Any:
        context = with_code(context)
        with ServerCall(arrival, context):
            return behavior(request, context)

    return respond


def measure_stream(behavior: Behavior, arrival: Arrival) -> Behavior:
    """Measure a function that runs in a thread and returns an iterator of responses."""

    def respond(request: Any, context: Any) -> Any:
        context = with_code(context)
        call = ServerCall(arrival, context)
        try:
            return Responses(behavior(request, context), call)
        except BaseException as error:
            call.finish(error)
            raise

    return respond


def measure_coroutine(behavior: Behavior, arrival: Arrival) -> Behavior:
    """Measure a coroutine function, which returns the response or writes many."""

    async def respond(request: Any, context: Any) -> Any:
        with ServerCall(arrival, context):
            return await behavior(request, context)

    return respond


def measure_generator(behavior: Behavior, arrival: Arrival) -> Behavior:
    """Measure an asynchronous generator function."""

    async def respond(request: Any, context: Any) -> AsyncIterator[Any]:
        call = ServerCall(arrival, context)
        # If the client leaves between two responses, nothing resumes the generator.
        context.add_done_callback(lambda _: call.finish(GeneratorExit()))
        with call:
            async with aclosing(behavior(request, context)) as responses:
                async for response in responses:
                    yield response

    return respond


@final
class Responses:
    """Stream of responses, which the server drops if the client has left.

    Args:
        responses: the iterator that the handler has returned.
        call: the call, which ends with the last response.
    """

    __slots__ = ("_call", "_responses")

    def __init__(self, responses: Iterator[Any], call: ServerCall) -> None:
        self._responses = responses
        self._call = call

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._responses)
        except StopIteration:
            self._call.finish()
            raise
        except BaseException as error:
            self._call.finish(error)
            raise

    def __del__(self) -> None:
        self._call.finish(GeneratorExit())


def with_code(context: Any) -> Any:
    """Return a context whose status code can be read: itself, or one around it.

    The context that a server in asyncio passes to threads has only methods that set the code.
    """
    return context if hasattr(context, "code") else ThreadContext(context)


@final
class ThreadContext:
    """Context of a function that a server in asyncio runs in a thread, with its status code."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._code: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def code(self) -> Any:
        """Return the status code that the function has set, or None."""
        return self._code

    def set_code(self, code: Any) -> None:
        """Set the status code."""
        self._code = code
        self._context.set_code(code)

    def abort(self, code: Any, *details: Any, **options: Any) -> None:
        """Raise an exception that ends the call with a status code."""
        self._code = code
        self._context.abort(code, *details, **options)


@survives_fork
@contextmanager
def rpc(
    registry: Registry,
    *,
    exclude: Iterable[str] = (),
    max_series: Whole = MAX_SERIES,
    bounds: Iterable[Real] = BOUNDS,
) -> Iterator[RPCServer]:
    """Register the instruments of gRPC servers.

    Memory is bounded: above `max_series` combinations of labels, all others share one series whose
    labels are `_overflow`.

    Args:
        registry: the registry of the instruments.
        exclude: services or methods that are not measured: `grpc.health.v1.Health`, or
            `grpc.health.v1.Health/Check`.
        max_series: the largest number of combinations of labels.
        bounds: upper bounds of the durations of calls, in seconds.

    Raises:
        DuplicateMetricError: a name is taken.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    if isinstance(exclude, str):
        raise TypeError(f"invalid exclude {exclude!r}: use a sequence, as [{exclude!r}]")
    create = partial(
        RPCServer,
        exclude=frozenset(name.removeprefix("/") for name in exclude),
        max_series=size("max_series", max_series),
        bounds=tuple(bounds),
        now=registry.clock.monotonic_ns,
    )
    with registration(registry, create) as instruments:
        yield instruments


def server(rpc: Source) -> grpc.ServerInterceptor:
    """Return an interceptor that measures the calls of a server with threads.

    For `grpc.server(executor, interceptors=[grpc.server(container.rpc)])`; put it first. While the
    container does not run, calls are served unmeasured, which is logged once; a container that
    starts again measures again.

    Args:
        rpc: the provider of the instruments, `grpc.rpc`; or the instruments themselves.

    Raises:
        TypeError: `rpc` is neither.
    """
    return ServerInterceptor(rpc)


def aio_server(rpc: Source) -> grpc.aio.ServerInterceptor:
    """Return an interceptor that measures the calls of a server in asyncio.

    As `server`, for `grpc.aio.server(interceptors=[grpc.aio_server(container.rpc)])`.

    Args:
        rpc: the provider of the instruments, `grpc.rpc`; or the instruments themselves.

    Raises:
        TypeError: `rpc` is neither.
    """
    return AsyncServerInterceptor(rpc)
