"""What wider fixtures, event loops and those who run tests start is not blamed on a test."""

from importlib.util import find_spec

import pytest

from tests.testing.planted import Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

WAITING = """
import threading
import pytest

def started(name):
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name=name, daemon=True)
    thread.start()
    return over, thread
"""


def fixture(scope: str, *, stops: bool) -> str:
    return f"""
@pytest.fixture(scope="{scope}")
def {scope}_wide():
    over, thread = started("of-{scope}")
    yield
    if {stops}:
        over.set()
        thread.join()
    else:
        stoppers.append(over.set)
"""


SCOPES = ("class", "module", "package", "session")


def test_a_wider_fixture_is_not_blamed_on_the_test_that_sets_it_up(suite: Suite):
    fixtures = "".join(fixture(scope, stops=True) for scope in SCOPES)
    tests = "".join(
        f"""
class Test{scope.title()}:
    def test_sets_up(self, {scope}_wide): pass
    def test_uses(self, {scope}_wide): pass
    def test_other(self): pass
def test_asks_for_{scope}(request): request.getfixturevalue("{scope}_wide")
"""
        for scope in SCOPES
    )
    run = suite.checked(WAITING + fixtures + tests, "-o", "leakcheck_grace=0")
    run.assert_outcomes(passed=4 * len(SCOPES))


def test_a_wider_fixture_is_blamed_by_name_when_its_scope_ends(suite: Suite):
    run = suite.checked(
        WAITING
        + fixture("class", stops=False)
        + fixture("module", stops=True)
        + """
class TestIt:
    def test_first(self, class_wide): pass
    def test_last(self, class_wide, module_wide): pass
def test_next(module_wide): pass
""",
        *("-o", "leakcheck_grace=0"),
    )
    run.assert_outcomes(passed=3, errors=1)
    run.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of TestIt.test_*",
            "class-scoped fixture 'class_wide' left behind: thread 'of-class'",
            "*over, thread = started(*",
        ]
    )


def test_setup_functions_and_cases_of_unittest_are_checked_as_well(suite: Suite):
    run = suite.checked(
        f"""{WAITING}
import asyncio, unittest
def setup_module():
    global over, thread
    over, thread = started("of-module")
def teardown_module():
    over.set()
    thread.join()
class TestIt:
    @classmethod
    def setup_class(cls): cls.over, cls.thread = started("of-class")
    @classmethod
    def teardown_class(cls): stoppers.append(cls.over.set)
    def setup_method(self): self.own, self.started = started("of-method")
    def teardown_method(self):
        self.own.set()
        self.started.join()
    def test_first(self): pass
    def test_second(self): pass
class Cases(unittest.IsolatedAsyncioTestCase):
    async def test_guilty(self): self.kept = asyncio.create_task(asyncio.sleep(60), name="planted")
    async def test_innocent(self): await asyncio.sleep(0)
def test_next(): pass
""",
        *("-o", "leakcheck_grace=0"),
    )
    run.assert_outcomes(passed=5, errors=2)
    run.stdout.fnmatch_lines_random(
        [
            "setup_class of 'TestIt' left*of-class*",
            "test_guilty left behind: task 'planted'",
        ]
    )


def test_what_a_server_of_a_wider_fixture_starts_for_a_test_is_its_own(suite: Suite):
    run = suite.checked(
        """
import socketserver, socket, threading, pytest

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            self.wfile.write(line)

@pytest.fixture(scope="module")
def server():
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()

@pytest.fixture(scope="module")
def client(server):
    with socket.create_connection(server) as client:
        yield client

def asked(connection):
    connection.sendall(b"x\\n")
    return connection.recv(9)

def test_own_connection(server):
    with socket.create_connection(server) as own:
        assert asked(own) == b"x\\n"

def test_shared_connection(client): assert asked(client) == b"x\\n"

def test_guilty(server):
    left = socket.create_connection(server)
    stoppers.append(left.close)
    assert asked(left) == b"x\\n"

def test_next(client): assert asked(client) == b"x\\n"
""",
        *("-o", "leakcheck_grace=0.5"),
    )
    run.assert_outcomes(passed=4, errors=1)
    run.stdout.fnmatch_lines(["test_guilty left behind: socket '127.0.0.1:* -> 127.0.0.1:*'"])


ASYNC = """
import asyncio
import pytest

kept = []

async def background():
    kept.append(asyncio.create_task(asyncio.sleep(60), name="planted"))

{mark}
async def test_guilty(): await background()

{mark}
async def test_tasks_that_end():
    task = asyncio.create_task(asyncio.sleep(0))
    await asyncio.to_thread(int)
    kept.append(asyncio.create_task(asyncio.sleep(0.01)))

@{fixture}
async def making():
    made = []
    def make():
        made.append(asyncio.create_task(asyncio.sleep(60)))
    yield make
    for task in made:
        task.cancel()
        await asyncio.wait([task])

{mark}
async def test_what_a_fixture_stops(making): making()

def test_run_ends_its_tasks(): asyncio.run(background())
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_tasks_are_seen_under_pytest_asyncio(suite: Suite, mode: str):
    pytest.importorskip("pytest_asyncio")
    marks = {
        "mark": "@pytest.mark.asyncio" if mode == "strict" else "",
        "fixture": "pytest_asyncio.fixture",
    }
    shared = """
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running():
    task = asyncio.create_task(asyncio.sleep(60), name="of-module")
    yield task
    task.cancel()

@pytest.mark.asyncio(loop_scope="module")
async def test_shares_a_loop(running):
    await asyncio.to_thread(int)
    assert not running.done()

@pytest.mark.asyncio(loop_scope="module")
async def test_guilty_in_a_shared_loop(running): await background()
"""
    run = suite.checked(
        "import pytest_asyncio\n" + ASYNC.format(**marks) + shared,
        *("-o", "leakcheck_grace=0.2", "-o", f"asyncio_mode={mode}"),
        *("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"),
    )
    run.assert_outcomes(passed=6, errors=2)
    run.stdout.fnmatch_lines_random(
        [
            "test_guilty left behind: task 'planted'",
            "*async def test_guilty(): await background()*",
            "test_guilty_in_a_shared_loop left behind: task 'planted'",
        ]
    )


BACKEND = """
import asyncio, pytest

@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"
"""

SHARED_LOOP = f"""{BACKEND}
@pytest.fixture(scope="module")
async def running(anyio_backend):
    task = asyncio.create_task(asyncio.sleep(60), name="of-module")
    yield task
    task.cancel()

@pytest.mark.anyio
async def test_with_a_wider_fixture(running):
    import anyio
    await anyio.to_thread.run_sync(int)
    assert not running.done()
"""


def test_tasks_are_seen_under_anyio(suite: Suite):
    marks = {"mark": "@pytest.mark.anyio", "fixture": "pytest.fixture"}
    # In a module of its own, because tasks do not end where the loop is kept for other tests.
    suite.add("test_shared_loop", SHARED_LOOP)
    run = suite.checked(
        BACKEND + ASYNC.format(**marks), *("-o", "leakcheck_grace=0.2", "-p", "anyio")
    )
    run.assert_outcomes(passed=5, errors=1)
    run.stdout.fnmatch_lines(["test_guilty left behind: task 'planted'"])


def test_no_thread_of_another_plugin_is_blamed(suite: Suite):
    pytest.importorskip("xdist")
    suite.load_all_plugins()
    timeout = ("-o", "timeout=60", "-o", "timeout_method=thread")
    options = timeout if find_spec("pytest_timeout") else ()
    run = suite.checked(
        WAITING
        + """
@pytest.mark.parametrize("number", range(10))
def test_innocent(number): pass

def test_guilty():
    over, thread = started("planted")
    stoppers.append(over.set)

@pytest.mark.parametrize("number", range(10))
def test_next(number): pass
""",
        *("-n2", "-o", "leakcheck_grace=0", *options),
    )
    run.assert_outcomes(passed=21, errors=1)
    run.stdout.fnmatch_lines(["test_guilty left behind: thread 'planted'"])
