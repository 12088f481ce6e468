"""The pytest plugin: the leak check's switches, and the fixtures of the test kit.

pytest loads this module in every run where the library is installed. It loads nothing else
until a test requests it.
"""

from __future__ import annotations

import argparse
from typing import Any, final

import pytest

from metrics.testing._plugin import FAIL, WARN, has_fixture

pytest_plugins = ["metrics.testing._plugin.fixtures"]

MARKER = (
    "leakcheck(enabled=True, *, ignore=(), grace=None, blocking=None, expected=(), reason=''): "
    "fail the test if it leaves threads, tasks, event loops, processes, sockets, files, running "
    "containers, initialized resources, overridden providers or wired modules behind; enabled is "
    "True, False, 'fail' or 'warn'; ignore takes patterns for their names or for the code that "
    "started them, grace the seconds that they may take to end, blocking the seconds that a "
    "callback may hold an event loop; expected takes patterns for known leaks, and fails the test"
    " when there is none any more; reason says why"
)

MODES = dict.fromkeys(("1", "yes", "true", "t", "y", "on", FAIL), FAIL) | {WARN: WARN}
MODES |= dict.fromkeys(("0", "no", "false", "n", "f", "off"), "")
"""Modes by their spelling in the configuration, which include pytest's truth values."""


MODE_TYPE: Any = bool | str if pytest.version_tuple >= (9, 2) else "string"


@final
class ModeOption(argparse.Action):
    """Option `--leakcheck` with an optional mode, which takes no argument from the next word.

    With `nargs="?"`, `pytest --leakcheck tests` would take the folder for a mode. Each mode is an
    option of its own instead, whose name has the equals sign.
    """

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse passes it
        namespace: argparse.Namespace,
        values: object,  # noqa: ARG002 - as above
        option_string: str | None = None,
    ) -> None:
        """Store the mode that is part of the option's name."""
        setattr(namespace, self.dest, (option_string or "").partition("=")[2] or FAIL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switches for a whole suite."""
    group = parser.getgroup("leakcheck", "leak check")
    group.addoption(
        "--leakcheck",
        f"--leakcheck={FAIL}",
        f"--leakcheck={WARN}",
        action=ModeOption,
        help="fail every test that leaves running or open objects behind; 'warn' reports them as "
        "warnings, and no test fails",
    )
    group.addoption(
        "--leakcheck-grace",
        metavar="SECONDS",
        help="seconds that ending objects may take to end, instead of leakcheck_grace; fewer find "
        "many leaks sooner",
    )
    parser.addini(
        "leakcheck",
        "check every test for leaks: true or fail, warn, or false",
        type=MODE_TYPE,
        default=False,
    )
    parser.addini(
        "leakcheck_ignore",
        "objects that tests may leave behind: a pattern a line, for a name, a kind or both, such "
        "as 'worker-*' or 'socket 127.0.0.1:*', or for the code that started it, such as "
        "'@ package/module.py' or 'thread @ module:function'",
        type="linelist",
        default=[],
    )
    parser.addini(
        "leakcheck_grace",
        "seconds that ending objects may take to end, 0.5 by default",
        default="",
    )
    parser.addini(
        "leakcheck_blocking",
        "seconds that a callback may hold an asyncio event loop; unlimited by default",
        default="",
    )
    parser.addini(
        "leakcheck_session",
        "fail the run when imports, or servers of wider fixtures, leave objects behind at its "
        "end; true by default, where every test is checked, unless in the mode 'warn'",
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


def check_everywhere(config: pytest.Config, option: str | None, collecting: bool) -> None:
    """Load the check when every test is to be checked, unless it is loaded."""
    mode = option or configured_mode(config)
    if mode and not collecting and not config.pluginmanager.has_plugin("leakcheck"):
        from metrics.testing._plugin.leak_check import LeakCheck  # noqa: PLC0415 - few runs need it

        config.pluginmanager.register(LeakCheck(config, mode), "leakcheck")


def configured_mode(config: pytest.Config) -> str:
    """Return the mode of the configuration: fail, warn, or an empty string.

    Raises:
        pytest.UsageError: it is neither a mode nor a truth value.
    """
    try:
        value = config.getini("leakcheck")
    except TypeError:
        # pytest 9.0 and 9.1 know no option that is a string or a boolean of TOML.
        value = config.inicfg["leakcheck"]
        value = getattr(value, "value", value)
    mode = MODES.get(str(value).strip().lower())
    if mode is None:
        raise pytest.UsageError(
            f"leakcheck = {value!r} is no mode of the leak check: use true or {FAIL}, {WARN}, or "
            "false"
        )
    return mode


def pytest_collection_finish(session: pytest.Session) -> None:
    """Load the check when a test requests it."""
    config = session.config
    if config.option.collectonly or config.pluginmanager.has_plugin("leakcheck"):
        return
    if any(map(asks, session.items)):
        from metrics.testing._plugin.leak_check import LeakCheck  # noqa: PLC0415 - few runs need it

        config.pluginmanager.register(LeakCheck(config), "leakcheck")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report the most frequent leaks, and the lines that started them."""
    # The report of what a failed test has left is none of an error.
    reports = [*terminalreporter.getreports("error"), *terminalreporter.getreports("")]
    tests = [report.leaks for report in reports if hasattr(report, "leaks")]
    warned = sum(hasattr(report, "leaks_warned") for report in reports)
    if tests or warned:
        from metrics.testing._plugin.summary import summary  # noqa: PLC0415 - few runs need it

        terminalreporter.section("leakcheck")
        for line in summary(tests, warned):
            terminalreporter.write_line(line)


def asks(item: pytest.Item) -> bool:
    """Return whether a test requests the check, by a marker or the fixture."""
    return item.get_closest_marker("leakcheck") is not None or has_fixture(item)
