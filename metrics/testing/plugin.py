"""The pytest plugin: the leak check's switches, and the fixtures of the test kit.

pytest loads this module in every run where the library is installed. It loads nothing else
until a test requests it.
"""

from __future__ import annotations

from typing import Any, final

import pytest

from metrics.testing._plugin import has_fixture

pytest_plugins = ["metrics.testing._plugin.fixtures"]

MARKER = (
    "leakcheck(enabled=True, *, ignore=(), grace=None, expected=(), reason=''): fail the test if "
    "it leaves threads, tasks, event loops, processes, sockets, files, running containers, "
    "initialized resources, overridden providers or wired modules behind; ignore takes patterns "
    "for their names or for the code that started them, grace the seconds that they may take to "
    "end; expected takes patterns for known leaks, and fails the test when there is none any more; "
    "reason says why"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switches for a whole suite."""
    group = parser.getgroup("leakcheck", "leak check")
    group.addoption(
        "--leakcheck",
        action="store_true",
        help="fail every test that leaves something running or open",
    )
    group.addoption(
        "--leakcheck-grace",
        metavar="SECONDS",
        help="seconds that what is ending may take to end, instead of leakcheck_grace; fewer find "
        "many leaks sooner",
    )
    parser.addini("leakcheck", "check every test for leaks", type="bool", default=False)
    parser.addini(
        "leakcheck_ignore",
        "what tests may leave behind: a pattern a line, for a name, a kind or both, such as "
        "'worker-*' or 'socket 127.0.0.1:*', or for the code that started it, such as "
        "'@ package/module.py' or 'thread @ module:function'",
        type="linelist",
        default=[],
    )
    parser.addini(
        "leakcheck_grace", "seconds that what is ending may take to end, 0.5 by default", default=""
    )
    parser.addini(
        "leakcheck_session",
        "fail the run when imports, or servers of wider fixtures, leave something behind at its "
        "end; true by default, where every test is checked",
        type="bool",
        default=True,
    )


@final
class Hooks:
    """Hooks that a conftest.py or a plugin may implement."""

    @pytest.hookspec(firstresult=True)
    def pytest_leakcheck_process_wide(self, kind: str, obj: Any) -> bool | None:
        """Return True for an object of a helper that is started once for the whole process.

        Args:
            kind: thread, task, event loop, process, descriptor, container, resource, override or
                wiring.
            obj: the object, or the number of a process, descriptor or thread without one.
        """


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hook for process-wide helpers."""
    pluginmanager.add_hookspecs(Hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take the baseline of the run before a conftest.py is imported."""
    options = early_config.known_args_namespace
    check_everywhere(early_config, options.leakcheck, options.collectonly)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)
    # A plugin that a conftest.py loads comes too late for the hook above.
    check_everywhere(config, config.option.leakcheck, config.option.collectonly)


def check_everywhere(config: pytest.Config, option: bool, collecting: bool) -> None:
    """Load the check when every test is to be checked, unless it is loaded."""
    wanted = option or config.getini("leakcheck")
    if wanted and not collecting and not config.pluginmanager.has_plugin("leakcheck"):
        from metrics.testing._plugin.leak_check import LeakCheck  # noqa: PLC0415 - few runs need it

        config.pluginmanager.register(LeakCheck(config, everywhere=True), "leakcheck")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Load the check when a test requests it."""
    config = session.config
    if config.option.collectonly or config.pluginmanager.has_plugin("leakcheck"):
        return
    if any(map(asks, session.items)):
        from metrics.testing._plugin.leak_check import LeakCheck  # noqa: PLC0415 - few runs need it

        config.pluginmanager.register(LeakCheck(config, everywhere=False), "leakcheck")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report the most frequent leaks, and the lines that started them."""
    # The report of what a failed test has left is none of an error.
    reports = [*terminalreporter.getreports("error"), *terminalreporter.getreports("")]
    if tests := [report.leaks for report in reports if hasattr(report, "leaks")]:
        from metrics.testing._plugin.summary import summary  # noqa: PLC0415 - few runs need it

        terminalreporter.section("leakcheck")
        for line in summary(tests):
            terminalreporter.write_line(line)


def asks(item: pytest.Item) -> bool:
    """Return whether a test requests the check, by a marker or the fixture."""
    return item.get_closest_marker("leakcheck") is not None or has_fixture(item)
