"""The leak check in a run of pytest: what each test leaves behind, and each wider fixture."""

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple, final

import pytest

from metrics.testing._plugin import has_fixture
from metrics.testing._plugin.session import SessionBaseline, advice
from metrics.testing.leaks._allowances import GRACE, Ignored, patterns, seconds
from metrics.testing.leaks._check import Check, LeakError
from metrics.testing.leaks._inventory import Inventory, take
from metrics.testing.leaks._origins import follow, recording
from metrics.testing.leaks._process_wide import register
from metrics.testing.leaks._runners import unwatch, watch

if TYPE_CHECKING:
    from metrics.testing._plugin.summary import Blamed
    from metrics.testing.leaks._naming import Leak

    # Named only here, because pytest has it in public since 8.1 and generic since 8.
    FixtureDef = pytest.FixtureDef[Any]

Wrapper = Generator[None, Any, Any]


class Settings(NamedTuple):
    """Settings of the check of one test."""

    enabled: bool
    ignore: tuple[Ignored, ...]
    grace: float
    expected: tuple[Ignored, ...] = ()


OPENED = {"descriptor", "file", "pipe", "socket"}

LATER = (
    "If a wider fixture or a module opened it for later use, open it in its setup, or allow it in "
    "leakcheck_ignore"
)

OFF = Settings(enabled=False, ignore=(), grace=0.0)


@final
class LeakCheck:
    """Leak check of the tests of a session.

    The inventory after a test is compared with the one before its setup, without objects that wider
    fixtures have started meanwhile: the fixtures answer for them when their scope ends.

    Args:
        config: where the suite's settings are.
        everywhere: whether tests are checked that do not request it.

    Raises:
        pytest.UsageError: a setting of the suite is wrong.
    """

    def __init__(self, config: pytest.Config, *, everywhere: bool) -> None:
        self._everywhere = everywhere
        self._ignore = tuple(config.getini("leakcheck_ignore"))
        self._grace = GRACE
        # Before a conftest.py is imported, the options are not complete.
        options = getattr(config, "known_args_namespace", config.option)
        if grace := options.leakcheck_grace or config.getini("leakcheck_grace"):
            self._grace = setting(grace)
        self._config = config
        self._recording = ExitStack()
        self._recording.enter_context(recording())
        self._recording.enter_context(register(self._is_process_wide))
        self._baseline = SessionBaseline(self._ignore, self._grace) if everywhere else None
        # What is left at the end of the run, and the workers of xdist in which it is.
        self._session_leaks: dict[str, list[str]] = {}
        # Patterns that have matched in any test, and expected ones that have not in this test.
        self._used: set[Ignored] = set()
        self._missing: list[Ignored] = []
        # What failed tests have left, for the next report.
        self._notes: list[str] = []
        # The report of the phase of the test that has failed, if any has.
        self._failure: Any = None
        # What was there before a test that is not checked.
        self._unchecked: Inventory | None = None
        self.check: Check | None = None
        """The check of the test that runs, if it is checked or requests the fixture."""
        # What each wider fixture has started, as long as it is set up, and how it is checked.
        self._started: dict[Any, tuple[Inventory, Settings]] = {}
        # What each had started that has been torn down, by its name.
        self._ended: list[tuple[str, Inventory, Settings]] = []
        # The tasks that were there when the loop of a test was closed, which ends them.
        self._cancelled: list[Leak] = []
        # The fixtures that are being set up, one inside the other.
        self._nested: list[Inventory] = []
        self._settings = OFF
        # What the test is blamed for that has just ended.
        self._blamed: list[Blamed] = []

    def pytest_unconfigure(self) -> None:
        """Stop recording."""
        unwatch(self._on_close)
        if self._baseline is not None:
            self._baseline.close()
        self._recording.close()

    def pytest_collectreport(self) -> None:
        """Record the objects that imported modules of this collection start."""
        # A pool of a module is found by the garbage collector, before a conftest.py freezes that.
        follow()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        """Look at what is there before a test."""
        wrong = ""
        try:
            self._settings = self._settings_of(item)
        except (TypeError, ValueError) as error:
            self._settings, wrong = OFF, str(error)
        self.check, self._cancelled, self._blamed = None, [], []
        self._failure, self._notes, self._unchecked = None, [], None
        self._missing = []
        if self._baseline is not None and not self._settings.enabled:
            self._unchecked = take()
        if self._settings.enabled or has_fixture(item):
            self.check = Check(self._settings.ignore, self._settings.grace)
            watch(self._on_close)
        result = yield
        if wrong:
            pytest.fail(f"the marker leakcheck is wrong: {wrong}", pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        """Fail a test that has leaks, when all of its fixtures are torn down."""
        try:
            result = yield
        except (Exception, pytest.fail.Exception) as error:
            self._failed_check()
            for failure, _ in self._failures(item):
                error.add_note(str(failure))
            raise
        except pytest.skip.Exception:
            self._fail(item)
            raise
        self._fail(item)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Wrapper:
        """Report what was left, for the summary; a test that was to fail was not to leave it."""
        report = yield
        if call.when != "teardown":
            if report.failed:
                self._failure = report
                self._failed_check()
            elif call.excinfo is not None and hasattr(report, "wasxfail"):
                self._failed_check()
            return report
        if self._notes:
            report.sections += (("left behind in teardown", note) for note in self._notes)
            if self._failure is not None and self._failure.when == "setup":
                # pytest shows the sections of a teardown after a failed call only.
                self._failure.sections += (("left behind", note) for note in self._notes)
        if self._blamed:
            report.leaks = self._blamed
            if call.excinfo is not None:
                report.outcome = "failed"
                if hasattr(report, "wasxfail"):
                    del report.wasxfail
        return report

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Wrapper:
        """Compare the end of the run with its beginning, when all fixtures are torn down."""
        result = yield
        config = self._config
        # xdist's own process runs no tests: each of its workers compares for itself.
        if self._baseline is not None and not config.pluginmanager.has_plugin("dsession"):
            for leak in self._baseline.leaks():
                self._session_leaks[f"{leak}\n{advice(leak.kind)}"] = []
            self._used |= self._baseline.used
        output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        if output is not None:
            output["leakcheck"] = list(self._session_leaks)
            output["leakcheck_used"] = [each for each in self._used if isinstance(each, str)]
        fails = config.getini("leakcheck_session") and session.exitstatus == pytest.ExitCode.OK
        if self._session_leaks and fails:
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
                f"leakcheck_ignore has patterns that nothing has matched: {unused!r}; remove them"
            )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: "FixtureDef") -> Wrapper:
        """Have a wider fixture answer for what it starts."""
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
        if started and settings.enabled:
            self._ended.append((fixture_name(fixturedef), started, settings))

    def _on_close(self, loop: Any) -> None:
        """Look at the tasks of a loop that is about to be closed."""
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
        failures: list[object] = []
        for failure, is_own in self._failures(item):
            if is_own and self._failure is not None:
                self._notes.append(str(failure))
            else:
                failures.append(failure)
        if self._missing and self._failure is None:
            failures.append(
                f"{item.name} did not leave behind what its marker expects: {self._missing!r}; "
                "remove expected="
            )
        if failures:
            pytest.fail("\n\n".join(map(str, failures)), pytrace=False)

    def _failures(self, item: pytest.Item) -> Iterator[tuple[LeakError, bool]]:
        """Yield the leaks of a test, and of the fixtures that ended with it.

        Each comes with whether it is the test's own.
        """
        for error, is_own in self._errors(item):
            self._blamed += ((leak.pattern, leak.place) for leak in error.leaks)
            yield error, is_own

    def _errors(self, item: pytest.Item) -> Iterator[tuple[LeakError, bool]]:
        check, self.check = self.check, None
        ended, self._ended = self._ended, []
        leaks, self._cancelled = self._cancelled, []
        if check is not None and self._settings.enabled:
            # The values of its fixtures are of no use any more, and may hold what they have opened.
            leaks = leaks + check.leaks(getattr(item, "funcargs", {}).clear)
            self._answer(check.found)
            self._used |= check.used
            self._missing = [each for each in self._settings.expected if each not in check.used]
            if leaks:
                opened = any(leak.kind in OPENED for leak in leaks)
                yield LeakError(leaks, item.name, LATER if opened else ""), True
        if self._unchecked is not None:
            self._answer({key: obj for key, obj in take().items() if key not in self._unchecked})
            self._unchecked = None
        for name, started, settings in ended:
            among = Check(settings.ignore, settings.grace, {}, among=started)
            leaks = among.leaks()
            self._answer(among.found)
            self._used |= among.used
            if leaks:
                yield LeakError(leaks, name), False

    def _answer(self, objects: Inventory) -> None:
        """Report at the end of the run nothing that a test was blamed or excused for."""
        if self._baseline is not None and objects:
            self._baseline.answer(objects)

    def _settings_of(self, item: pytest.Item) -> Settings:
        """Return how a test is checked: the closest marker decides, patterns add up."""
        enabled = self._everywhere or has_fixture(item)
        grace, ignore = self._grace, self._ignore
        expected: tuple[Ignored, ...] = ()
        for marker in reversed(list(item.iter_markers("leakcheck"))):
            bound = MARKER_OPTIONS.bind(*marker.args, **marker.kwargs)
            enabled, more, own_grace, known = marker_options(*bound.args, **bound.kwargs)
            ignore += patterns(more)
            expected += patterns(known)
            grace = grace if own_grace is None else seconds(own_grace)
        return Settings(enabled, ignore + expected, grace, expected)


def marker_options(
    enabled: bool = True,
    *,
    ignore: Ignored | Iterable[Ignored] = (),
    grace: float | None = None,
    expected: Ignored | Iterable[Ignored] = (),
    reason: str = "",
) -> tuple[bool, Ignored | Iterable[Ignored], float | None, Ignored | Iterable[Ignored]]:
    """Return the arguments of a marker; the reason is for its reader.

    Raises:
        TypeError: a value has the wrong type.
    """
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled is True or False, and patterns are ignore=; got {enabled!r}")
    if not isinstance(reason, str):
        raise TypeError(f"reason is a string; got {reason!r}")
    return enabled, ignore, grace, expected


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


def setting(grace: str) -> float:
    """Return the grace period of the suite.

    Raises:
        pytest.UsageError: it is no number, or a negative one.
    """
    try:
        return seconds(float(grace))
    except ValueError:
        raise pytest.UsageError(
            f"the grace period (leakcheck_grace) is a number of seconds, 0 or more, not {grace!r}"
        ) from None
