"""A stop during the exit of the interpreter returns at once, as far as threads still work."""

import pytest

from tests.lifecycle.programs import ran

# Far longer than the programs may run.
HEAD = """
    import asyncio, atexit, sys, threading, weakref
    from metrics.lifecycle import running

    from tests.lifecycle.exiting import declared, hangs, say

    container = declared(sys.argv[1], TIMEOUT)
"""

FROM_DEL = """
    class Service:
        def __init__(self, container):
            self.container = container
        def __del__(self):
            self.container.shutdown_resources()

    container.init_resources()
    service = Service(container)
    say("end")
"""

FROM_A_CYCLE = """
    class Service:
        def __init__(self, container):
            self.container = container
            self.cycle = self
        def __del__(self):
            self.container.shutdown_resources()

    container.init_resources()
    service = Service(container)
    say("end")
"""

FROM_A_GENERATOR = """
    def serve(container):
        container.init_resources()
        try:
            yield
        finally:
            container.shutdown_resources()

    service = serve(container)
    next(service)
    say("end")
"""

FROM_A_BLOCK_IN_A_GENERATOR = """
    def serve(container):
        with running(container):
            yield

    service = serve(container)
    next(service)
    say("end")
"""

FROM_ATEXIT = """
    container.init_resources()
    atexit.register(container.shutdown_resources)
    say("end")
"""

FROM_A_FINALIZER = """
    class Service:
        pass

    container.init_resources()
    service = Service()
    weakref.finalize(service, container.shutdown_resources)
    say("end")
"""

FROM_THREADING_ATEXIT = """
    container.init_resources()
    threading._register_atexit(container.shutdown_resources)
    say("end")
"""

ENDS = {
    "__del__": FROM_DEL,
    "__del__ of a cycle": FROM_A_CYCLE,
    "generator": FROM_A_GENERATOR,
    "block in a generator": FROM_A_BLOCK_IN_A_GENERATOR,
    "atexit": FROM_ATEXIT,
    "finalizer": FROM_A_FINALIZER,
    "atexit of threading": FROM_THREADING_ATEXIT,
}

STOPPED = ["stop second", "stop first"]


@pytest.mark.parametrize("container", ["Plain", "Reporting"])
@pytest.mark.parametrize("end", ENDS)
def test_a_stop_at_the_exit_of_the_interpreter_stops_everything_at_once(end, container):
    ended = ran((HEAD + ENDS[end]).replace("TIMEOUT", "3600.0"), container, interpreter=())
    assert ended.code == 0, ended
    assert ended.lines == ["end", *STOPPED]
    assert "Traceback" not in ended.errors


@pytest.mark.parametrize("end", ENDS)
def test_a_stop_without_limit_at_the_exit_of_the_interpreter_stops_everything(end):
    ended = ran((HEAD + ENDS[end]).replace("TIMEOUT", "None"), "Ticking", interpreter=())
    assert (ended.code, ended.lines) == (0, ["end", *STOPPED]), ended


HELD_BY_A_THREAD = """
    held = declared("Held", 3600.0)

    class Service:
        def __init__(self, container):
            self.container = container
        def __del__(self, say=say):
            try:
                self.container.shutdown_resources(timeout=1)
            finally:
                say("returned")

    held.init_resources()
    thread = threading.Thread(
        target=held.shutdown_resources, kwargs={"timeout": 3600.0}, daemon=True
    )
    thread.start()
    assert hangs.wait(20)
    service = Service(held)
    say("end")
"""


def test_a_stop_that_a_frozen_thread_has_begun_is_not_waited_for_without_end():
    source = (HEAD + HELD_BY_A_THREAD).replace("TIMEOUT", "3600.0")
    ended = ran(source, "Plain", interpreter=())
    assert (ended.code, ended.lines) == (0, ["end", "returned"]), ended


ASYNC = """
    async def serve(container):
        async with running(container):
            yield

    async def main():
        await anext(service)
        say("end")

    service = serve(declared("Async", 3600.0))
    asyncio.run(main())
"""


def test_an_async_block_of_a_suspended_generator_is_left_with_its_loop():
    ended = ran((HEAD + ASYNC).replace("TIMEOUT", "3600.0"), "Plain", interpreter=())
    assert (ended.code, ended.lines) == (0, ["end", "stop async"]), ended
