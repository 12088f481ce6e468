"""The leak check in a run of pytest: the leaks of each test, and of each wider fixture."""

import re
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple, final

import pytest

from metrics.testing._plugin import FAIL, WARN, has_fixture
from metrics.testing._plugin.phases import Phases
from metrics.testing._plugin.session import SessionBaseline, advice
from metrics.testing.leaks import LeakError, LeakWarning
from metrics.testing.leaks._allowances import GRACE, Ignored, patterns, seconds
from metrics.testing.leaks._blocking import BlockedLoop, BlockingWatch
from metrics.testing.leaks._check import Check
from metrics.testing.leaks._inventory import Inventory, take
from metrics.testing.leaks._naming import BLOCKED
from metrics.testing.leaks._origins import follow, recording
from metrics.testing.leaks._process_wide import register
from metrics.testing.leaks._runners import unwatch, watch

if TYPE_CHECKING:
    from metrics.testing._plugin.summary import Blamed
    from metrics.testing.leaks._naming import Leak

    # Named only here, because pytest has it in public since 8.1 and generic since 8.
    FixtureDef = pytest.FixtureDef[Any]

Wrapper = Generator[None, Any, Any]


class CheckSettings(NamedTuple):
    """CheckSettings of the check of one test."""

    mode: str
    """FAIL, WARN, or empty for a test that is not checked."""
    ignore: tuple[Ignored, ...] = ()
    grace: float = GRACE
    blocking: float = 0.0
    """Seconds that a callback may hold an event loop; 0 for any time."""
    expected: tuple[Ignored, ...] = ()


class LeakFailure(NamedTuple):
    """Leaks of a test, or of a fixture that ended with it."""

    leaks: tuple["Leak", ...]
    name: str
    """Name of the test or fixture."""
    mode: str
    is_own: bool
    """Whether the test has left them, and not a fixture."""
    advice: str = ""

    @property
    def error(self) -> LeakError:
        """The error about all of them."""
        return LeakError(self.leaks, self.name, self.advice)

    @property
    def texts(self) -> list[str]:
        """The error, or a warning for each leak."""
        if self.mode == FAIL:
            return [str(self.error)]
        return [f"{self.name} left behind: {leak}" for leak in self.leaks]


OPENED = {"descriptor", "file", "pipe", "socket"}

LATER = (
    "If a wider fixture or a module opened it for later use, open it in its setup, or allow it in "
    "leakcheck_ignore"
)

UNBLOCK = (
    "Await in the callback, or run its blocking call in a thread: `await asyncio.to_thread(...)`"
)

OFF = CheckSettings("")


@final
class LeakCheck:
    """Leak check of the tests of a session.

    The inventory after a test is compared with the one before its setup, without objects that wider
    fixtures have started meanwhile: the fixtures answer for them when their scope ends.

    Args:
        config: the run's configuration, which has the settings of the suite.
        mode: FAIL or WARN for all tests; empty if only tests are checked that request it.

    Raises:
        pytest.UsageError: a setting of the suite is wrong.
    """

    def __init__(self, config: pytest.Config, mode: str = "") -> None:
        self._mode = mode
        self._ignore = tuple(config.getini("leakcheck_ignore"))
        self._grace = GRACE
        # Before a conftest.py is imported, the options are not complete.
        options = getattr(config, "known_args_namespace", config.option)
        if grace := options.leakcheck_grace or config.getini("leakcheck_grace"):
            self._grace = setting(grace, "the grace period (leakcheck_grace)")
        self._blocking = 0.0
        if blocking := config.getini("leakcheck_blocking"):
            self._blocking = setting(blocking, "leakcheck_blocking")
        self._config = config
        self._recording = ExitStack()
        self._recording.enter_context(recording())
        self._recording.enter_context(register(self._is_process_wide))
        self._baseline = SessionBaseline(self._ignore, self._grace) if mode else None
        # The leaks at the end of the run, and the workers of xdist that have them.
        self._session_leaks: dict[str, list[str]] = {}
        # Patterns that have matched in any test, and expected ones that have not in this test.
        self._used: set[Ignored] = set()
        self._missing: list[Ignored] = []
        # The leaks of failed tests, for the next report.
        self._notes: list[str] = []
        # The report of the phase of the test that has failed, if any has.
        self._failure: Any = None
        # The inventory before a test that is not checked.
        self._unchecked: Inventory | None = None
        self.check: Check | None = None
        """The check of the test that runs, if it is checked or requests the fixture."""
        # Objects that each wider fixture has started, as long as it is set up, and its settings.
        self._started: dict[Any, tuple[Inventory, CheckSettings]] = {}
        # Objects that each had started that has been torn down, by its name.
        self._ended: list[tuple[str, Inventory, CheckSettings]] = []
        # The tasks that were there when the loop of a test was closed, which ends them.
        self._cancelled: list[Leak] = []
        # The fixtures that are being set up, one inside the other.
        self._nested: list[Inventory] = []
        self._settings = OFF
        # The leaks of the test that has just ended.
        self._blamed: list[Blamed] = []
        # Whether the test that has just ended would fail, but for the mode WARN.
        self._warned = False
        # The watch over the event loops of the test, and the phases in which it opens files.
        self._watch: BlockingWatch | None = None
        self._phases = Phases()

    def pytest_unconfigure(self) -> None:
        """Stop recording."""
        unwatch(self._on_close)
        self._blocked_loops()
        if self._baseline is not None:
            self._baseline.close()
        self._recording.close()

    def pytest_collectreport(self) -> None:
        """Record the objects that imported modules of this collection start."""
        # A pool of a module is found by the garbage collector, before a conftest.py freezes that.
        follow()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        """Take the inventory before a test."""
        wrong = ""
        try:
            self._settings = self._settings_of(item)
        except (TypeError, ValueError) as error:
            self._settings, wrong = OFF, str(error)
        self.check, self._cancelled, self._blamed = None, [], []
        self._failure, self._notes, self._unchecked = None, [], None
        self._missing, self._warned = [], False
        if self._baseline is not None and not self._settings.mode:
            self._unchecked = take()
        if self._settings.mode or has_fixture(item):
            self.check = Check(self._settings.ignore, self._settings.grace)
            watch(self._on_close)
            self._phases.begin()
            if self._settings.blocking:
                self._watch = BlockingWatch(self._settings.blocking).start()
        result = yield
        # No descriptors are compared after a setup that has failed.
        if self.check is not None:
            self._phases.end("setup")
        if wrong:
            pytest.fail(f"the marker leakcheck is wrong: {wrong}", pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        """Fail a test that has leaks, when all of its fixtures are torn down."""
        if self.check is not None:
            self._phases.end("call")
        try:
            result = yield
        except (Exception, pytest.fail.Exception) as error:
            self._failed_check()
            for failure in self._failures(item):
                error.add_note(str(failure.error))
            raise
        except pytest.skip.Exception:
            self._fail(item)
            raise
        self._fail(item)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Wrapper:
        """Report the leaks for the summary; an expected failure does not excuse them."""
        report = yield
        if call.when != "teardown":
            if report.failed:
                self._failure = report
                self._failed_check()
            elif call.excinfo is not None and hasattr(report, "wasxfail"):
                self._failed_check()
            return report
        self._report_leaks(report)
        if self._blamed and call.excinfo is not None:
            report.outcome = "failed"
            if hasattr(report, "wasxfail"):
                del report.wasxfail
        return report

    def _report_leaks(self, report: Any) -> None:
        """Attach the leaks of a test to the report of its teardown."""
        if self._notes:
            report.sections += (("left behind in teardown", note) for note in self._notes)
            if self._failure is not None and self._failure.when == "setup":
                # pytest shows the sections of a teardown after a failed call only.
                self._failure.sections += (("left behind", note) for note in self._notes)
        if self._blamed:
            report.leaks = self._blamed
        if self._warned:
            report.leaks_warned = True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Wrapper:
        """Compare the end of the run with its beginning, when all fixtures are torn down."""
        result = yield
        config = self._config
        # xdist's own process runs no tests: each of its workers compares for itself.
        if self._baseline is not None and not config.pluginmanager.has_plugin("dsession"):
            for leak in self._baseline.leaks():
                self._session_leaks[f"{leak}\n{advice(leak)}"] = []
            self._used |= self._baseline.used
        output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        if output is not None:
            output["leakcheck"] = list(self._session_leaks)
            output["leakcheck_used"] = [each for each in self._used if isinstance(each, str)]
        fails = self._mode == FAIL and config.getini("leakcheck_session")
        if self._session_leaks and fails and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect the leaks of a worker of xdist at its end."""
        output: dict[str, Any] = getattr(node, "workeroutput", {})
        self._used.update(output.get("leakcheck_used", ()))
        for text in output.get("leakcheck", ()):
            self._session_leaks.setdefault(text, []).append(node.gateway.id)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Report the leaks at the end of the run."""
        if self._session_leaks:
            terminalreporter.section("leaks of the session", red=True, bold=True)
            for text, workers in self._session_leaks.items():
                within = f" ({', '.join(workers)})" if workers else ""
                terminalreporter.write_line(f"the session{within} left behind: {text}")
        unused = [each for each in self._ignore if each not in self._used]
        if unused and self._baseline is not None and is_whole(self._config):
            terminalreporter.write_line(
                f"leakcheck_ignore has patterns without a match: {unused!r}; remove them"
            )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: "FixtureDef") -> Wrapper:
        """Have a wider fixture answer for the objects that it starts."""
        if self.check is None or fixturedef.scope == "function":
            return (yield)
        before = take()
        inner: Inventory = {}
        self._nested.append(inner)
        try:
            return (yield)
        finally:
            self._nested.pop()
            started = {key: obj for key, obj in take().items() if key not in before}
            self.check.exclude(started)
            if self._nested:
                self._nested[-1].update(started)
            own = {key: obj for key, obj in started.items() if key not in inner}
            self._started[fixturedef] = own, self._settings

    @pytest.hookimpl(trylast=True)
    def pytest_fixture_post_finalizer(self, fixturedef: "FixtureDef") -> None:
        """Remember the objects of a wider fixture that is torn down now."""
        started, settings = self._started.pop(fixturedef, ({}, OFF))
        if started and settings.mode:
            self._ended.append((fixture_name(fixturedef), started, settings))

    def _on_close(self, loop: Any) -> None:
        """Compare the tasks of a loop that is about to be closed."""
        if self.check is not None:
            self._cancelled += self.check.tasks(loop)

    def _is_process_wide(self, kind: str, obj: Any) -> bool:
        """Return whether a plugin or a conftest.py knows an object as a process-wide helper."""
        hook = self._config.hook.pytest_leakcheck_process_wide
        return bool(hook(kind=kind, obj=obj))

    def _failed_check(self) -> None:
        """Compare no descriptors after a test that has failed."""
        if self.check is not None:
            self.check.skip_descriptors()

    def _fail(self, item: pytest.Item) -> None:
        """Fail a test that has leaks, or warn of them.

        Raises:
            pytest.fail.Exception: the test, or a fixture that ended with it, has leaks.
        """
        failing: list[str] = []
        for failure in self._failures(item):
            if failure.is_own and self._failure is not None:
                self._notes.append(str(failure.error))
            elif failure.mode == WARN:
                failing += self._warn(item, failure.texts)
            else:
                failing += failure.texts
        if self._missing and self._failure is None:
            text = (
                f"{item.name} did not leave behind the objects that its marker expects: "
                f"{self._missing!r}; remove expected="
            )
            failing += self._warn(item, [text]) if self._settings.mode == WARN else [text]
        if failing:
            pytest.fail("\n\n".join(failing), pytrace=False)

    def _warn(self, item: pytest.Item, texts: Iterable[str]) -> list[str]:
        """Warn of leaks at the line of a test, and return warnings that a filter makes errors."""
        self._warned = True
        return [text for text in texts if not warn(item, text)]

    def _failures(self, item: pytest.Item) -> Iterator[LeakFailure]:
        """Yield the leaks of a test, and of the fixtures that ended with it."""
        for failure in self._found(item):
            self._blamed += ((leak.pattern, leak.place) for leak in failure.leaks)
            yield failure

    def _found(self, item: pytest.Item) -> Iterator[LeakFailure]:
        check, self.check = self.check, None
        ended, self._ended = self._ended, []
        leaks, self._cancelled = self._cancelled, []
        blocked = self._blocked_loops()
        settings = self._settings
        if check is not None and settings.mode:
            leaks = check.blocked(blocked) + leaks
            # The values of its fixtures are of no use any more, and may hold what they have opened.
            leaks += check.leaks(getattr(item, "funcargs", {}).clear)
            self._answer(check.found)
            self._used |= check.used
            self._missing = [each for each in settings.expected if each not in check.used]
            if leaks:
                named = tuple(map(self._phases.name, leaks))
                yield LeakFailure(named, item.name, settings.mode, True, remedy(leaks))
        if self._unchecked is not None:
            self._answer({key: obj for key, obj in take().items() if key not in self._unchecked})
            self._unchecked = None
        for name, started, settings in ended:
            among = Check(settings.ignore, settings.grace, {}, among=started)
            leaks = among.leaks()
            self._answer(among.found)
            self._used |= among.used
            if leaks:
                yield LeakFailure(tuple(leaks), name, settings.mode, False)

    def _blocked_loops(self) -> list[BlockedLoop]:
        """Stop the watch over event loops, and return the ones that were blocked."""
        watching, self._watch = self._watch, None
        return watching.stop() if watching is not None else []

    def _answer(self, objects: Inventory) -> None:
        """Report at the end of the run nothing that a test was blamed or excused for."""
        if self._baseline is not None and objects:
            self._baseline.answer(objects)

    def _settings_of(self, item: pytest.Item) -> CheckSettings:
        """Return how a test is checked: the closest marker decides, patterns add up."""
        requested = self._mode or FAIL
        mode = requested if has_fixture(item) else self._mode
        grace, ignore, blocking = self._grace, self._ignore, self._blocking
        expected: tuple[Ignored, ...] = ()
        for marker in reversed(list(item.iter_markers("leakcheck"))):
            bound = MARKER_OPTIONS.bind(*marker.args, **marker.kwargs)
            own = marker_options(*bound.args, **bound.kwargs)
            ignore += own.ignore
            expected += own.expected
            grace = grace if own.grace is None else own.grace
            blocking = blocking if own.blocking is None else own.blocking
            if isinstance(own.enabled, str):
                mode = own.enabled
            else:
                mode = (mode or requested) if own.enabled else ""
        return CheckSettings(mode, ignore + expected, grace, blocking, expected)


class MarkerOptions(NamedTuple):
    """Arguments of the marker `leakcheck`, without the reason, which is for its reader."""

    enabled: bool | str
    ignore: tuple[Ignored, ...]
    grace: float | None
    blocking: float | None
    expected: tuple[Ignored, ...]


def marker_options(
    enabled: bool | str = True,
    *,
    ignore: Ignored | Iterable[Ignored] = (),
    grace: float | None = None,
    blocking: float | None = None,
    expected: Ignored | Iterable[Ignored] = (),
    reason: str = "",
) -> MarkerOptions:
    """Return the arguments of a marker.

    Raises:
        TypeError: a value has the wrong type, or is no mode.
        ValueError: `grace` or `blocking` is no number, or negative.
    """
    if not isinstance(enabled, bool) and enabled not in {FAIL, WARN}:
        raise TypeError(
            f"enabled is True, False, {FAIL!r} or {WARN!r}, and patterns are ignore=; "
            f"got {enabled!r}"
        )
    if not isinstance(reason, str):
        raise TypeError(f"reason is a string; got {reason!r}")
    return MarkerOptions(
        enabled,
        patterns(ignore),
        None if grace is None else seconds(grace),
        None if blocking is None else seconds(blocking, "blocking"),
        patterns(expected),
    )


MARKER_OPTIONS = signature(marker_options)
"""Checks the names of a marker's arguments without the function's own name in the message."""


def is_whole(config: pytest.Config) -> bool:
    """Return whether a run has all tests of a suite, and none is selected or deselected."""
    source = pytest.Config.ArgsSource
    selected = config.option.keyword or config.option.markexpr
    return not selected and config.args_source in {source.INVOCATION_DIR, source.TESTPATHS}


def fixture_name(fixturedef: "FixtureDef") -> str:
    """Return the name of a fixture; pytest makes some of functions like `setup_class`."""
    made = re.fullmatch(r"_(?:xunit|unittest)_(\w+?)_fixture_(.+)", fixturedef.argname)
    if made:
        return f"{made[1]} of {made[2]!r}"
    return f"{fixturedef.scope}-scoped fixture {fixturedef.argname!r}"


def remedy(leaks: Iterable["Leak"]) -> str:
    """Return another remedy for leaks than to stop or close them, by their kinds."""
    kinds = {leak.kind for leak in leaks}
    lines = (LATER if kinds & OPENED else "", UNBLOCK if BLOCKED in kinds else "")
    return "\n".join(filter(None, lines))


def warn(item: pytest.Item, text: str) -> bool:
    """Warn of a leak at the line of a test, and return whether it remains a warning.

    A filter makes it an error only if it names this category: `filterwarnings = error` is about the
    warnings of the tested program, and the mode "warn" fails no test.
    """
    try:
        item.warn(LeakWarning(text))
    except LeakWarning:
        if any(category is LeakWarning for _, _, category, *_ in warnings.filters):
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("always", LeakWarning)
            item.warn(LeakWarning(text))
    return True


def setting(value: str, name: str) -> float:
    """Return a duration in seconds of the suite's configuration.

    Raises:
        pytest.UsageError: it is no number, or a negative one.
    """
    try:
        return seconds(float(value))
    except ValueError:
        raise pytest.UsageError(
            f"{name} is a number of seconds, 0 or more, not {value!r}"
        ) from None
