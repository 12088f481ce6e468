"""Public test suites: their sources of PyPI, the environment that runs them, and their runs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, final
from urllib.request import Request, urlopen

import metrics

from ..against import stop  # noqa: TID252 - the root is tests or its parent
from .empty import processor_time

INDEX = "https://pypi.org/simple"

DOWNLOAD_LIMIT = 60.0
"""Seconds that a request may take."""

INSTALL_LIMIT = 900.0
"""Seconds that pip may take."""

RUN_LIMIT = 600.0
"""Seconds that a suite may take."""

COUNTING = Path(__file__).with_name("leakcheck_counting.py")

KINDS = (
    "executor thread",
    "thread",
    "task",
    "event loop",
    "process",
    "socket",
    "pipe",
    "file",
    "descriptor",
    "container",
    "resource",
)

REQUIREMENTS = (
    "dependency-injector>=4.49.1,<5",
    "librt>=0.16; platform_python_implementation == 'CPython'",
    "pytest==9.2.0",
    "pyleak==0.2.0",
    "pytest-threadleak==0.5.0",
)
"""Requirements of every run: of the library, and the tools beside it."""


class SuiteError(Exception):
    """Reason for which a suite cannot run, in one line."""


class Suite(NamedTuple):
    """Public test suite in a source distribution of PyPI."""

    name: str
    version: str
    sha256: str
    """Hash of the source distribution; empty for a suite in a checkout."""
    paths: tuple[str, ...]
    options: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name and version."""
        return f"{self.name} {self.version}"

    @property
    def all_requirements(self) -> tuple[str, ...]:
        """The tested package and the requirements of its tests."""
        return f"{self.name}=={self.version}", *self.requirements


SUITES = (
    Suite(
        "cheroot",
        "11.1.2",
        "bfb70c49663f63b0440f2b54dbc6b0d1650e56dfe4e2641f59b2c6f727b44aca",
        # The tests of TLS are slow, and need an optional package each.
        tuple(
            f"cheroot/test/test_{name}.py"
            for name in ("conn", "core", "dispatch", "errors", "makefile", "server", "wsgi")
        ),
        ("-p", "cheroot.test._pytest_plugin"),
        (
            "jaraco.text",
            "portend",
            "pypytools",
            "pytest-mock",
            "requests-toolbelt",
            "requests-unixsocket",
            "trustme",
        ),
    ),
    Suite(
        "janus",
        "2.0.0",
        "0970f38e0e725400496c834a368a67ee551dc3b5ad0a257e132f5b46f2e77770",
        ("tests/test_async.py", "tests/test_mixed.py", "tests/test_sync.py"),
        (),
        ("pytest-asyncio==1.5.0",),
    ),
    Suite(
        "anyio",
        "4.16.0",
        "59bb03251907983d1603d27c3087ddb1e93299ea2163adcdba37899a4fb12ffb",
        tuple(
            f"tests/test_{name}.py"
            for name in ("from_thread", "subprocesses", "taskgroups", "to_process", "to_thread")
        ),
        ("-p", "anyio", "-p", "no:asyncio", "-o", "anyio_mode=auto"),
        (
            "exceptiongroup",
            "psutil",
            "pytest-mock",
            "pytest-timeout",
            "trio",
            "truststore",
            "trustme",
            "uvloop; sys_platform != 'win32'",
        ),
    ),
)

WEBSOCKETS = Suite("websockets", "17.1", "", ("tests/sync",), (), ("python-socks", "werkzeug"))
"""Threads that end a few milliseconds after each test. Its source distributions lack these tests,
so that a checkout is needed."""


class Tool(NamedTuple):
    """Leak check that a suite runs with."""

    name: str
    options: tuple[str, ...] = ()
    marker: str = ""
    """Marker that each test needs."""


WITHOUT = Tool("without")
LEAKCHECK = Tool("--leakcheck", ("--leakcheck",))
TOOLS = (
    WITHOUT,
    LEAKCHECK,
    Tool("pyleak", (), "no_leaks"),
    Tool("pytest-threadleak", ("--threadleak",)),
)


@final
class SuiteRun(NamedTuple):
    """Run of a suite with a tool."""

    elapsed: float
    processor: float
    tests: set[str]
    failed: set[str]
    leaks: list[tuple[str, str]]
    """The pattern of each leak, and the line that started it."""


def download(suite: Suite, folder: Path) -> Path:
    """Extract the source distribution of a suite, and return its root.

    Raises:
        SuiteError: the index lacks the file, or its content has changed.
        OSError: the index cannot be reached.
    """
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    listing = json.loads(read(Request(f"{INDEX}/{suite.name}/", headers=accept)))
    name = f"{suite.name}-{suite.version}"
    urls = [each["url"] for each in listing["files"] if each["filename"] == f"{name}.tar.gz"]
    if not urls:
        raise SuiteError(f"PyPI has no {name}.tar.gz")
    content = read(Request(urls[0]))
    if (found := hashlib.sha256(content).hexdigest()) != suite.sha256:
        raise SuiteError(f"{name}.tar.gz has the hash {found}, and not {suite.sha256}")
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def read(request: Request) -> bytes:
    """Return the answer to a request."""
    with urlopen(request, timeout=DOWNLOAD_LIMIT) as response:
        content: bytes = response.read()
    return content


def make_environment(suite: Suite, folder: Path) -> str:
    """Install a suite's requirements into a virtual environment; return its interpreter.

    Raises:
        SuiteError: pip failed.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=INSTALL_LIMIT)
    install = [python, "-m", "pip", "install", "-q", *REQUIREMENTS, *suite.all_requirements]
    pip = subprocess.run(
        install, check=False, capture_output=True, text=True, timeout=INSTALL_LIMIT
    )
    if pip.returncode:
        raise SuiteError(f"pip cannot install {suite.title}: {pip.stderr.strip()[-500:]}")
    return str(python)


def copy_library(folder: Path) -> Path:
    """Copy the imported library, its plugin and the counting one; return their folder."""
    package = Path(metrics.__file__).parent
    shutil.copytree(package, folder / "metrics", ignore=shutil.ignore_patterns("__pycache__"))
    # The extensions of a compiled library share one module beside the package.
    shared = package.parent.glob("*__mypyc*")
    for module in (package.parent / "pytest_wired_metrics.py", *shared, COUNTING):
        shutil.copy(module, folder)
    return folder


@final
class Bench:
    """Suite that is ready to run.

    Args:
        suite: the suite.
        root: the folder of its source.
        python: the interpreter with its requirements.
        library: the folder of the library's copy.
    """

    def __init__(self, suite: Suite, root: Path, python: str, library: Path) -> None:
        self.suite = suite
        self._root = root
        self._library = library
        plugins = ["-p", "leakcheck_counting"]
        if not self._has_plugin(python):
            plugins += ["-p", "pytest_wired_metrics"]
        self._command = [
            *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
            # A suite's own options request coverage, or several processes.
            *("-o", "addopts=", "-o", "filterwarnings="),
            *(*plugins, *suite.options),
        ]

    def _has_plugin(self, python: str) -> bool:
        """Return whether an interpreter loads the library's plugin by itself."""
        probe = (
            "from importlib.metadata import entry_points as all; "
            "print(any(e.value == 'pytest_wired_metrics' for e in all(group='pytest11')))"
        )
        command = [python, "-c", probe]
        asked = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return asked.stdout.strip() == "True"

    def run(self, tool: Tool) -> SuiteRun:
        """Run the suite with a tool.

        Raises:
            SuiteError: the run took too long, or ended without counts.
        """
        counts = self._library / "counts.json"
        counts.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._library),
            "PYTEST_ADDOPTS": "",
            "LEAKCHECK_COUNTS": str(counts),
            "LEAKCHECK_MARKER": tool.marker,
        }
        began, used = perf_counter(), processor_time()
        with subprocess.Popen(
            [*self._command, *tool.options, *self.suite.paths],
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=RUN_LIMIT)
            except BaseException as error:
                stop(process)
                if isinstance(error, subprocess.TimeoutExpired):
                    message = f"{self.suite.title} took more than {RUN_LIMIT:.0f} s ({tool.name})"
                    raise SuiteError(message) from None
                raise
        times = perf_counter() - began, processor_time() - used
        (self._root / f"{tool.name.strip('-')}.log").write_text(output, "utf-8")
        if not counts.exists():
            raise SuiteError(f"{self.suite.title} ended without tests: {output.strip()[-500:]}")
        counted: dict[str, Any] = json.loads(counts.read_text("utf-8"))
        leaks = [(pattern, place) for pattern, place in counted["leaks"]]
        return SuiteRun(*times, {*counted["tests"]}, {*counted["failed"]}, leaks)


def kind_of(pattern: str) -> str:
    """Return the kind of a leak by its pattern, which begins with it."""
    return next((kind for kind in KINDS if f"{pattern} ".startswith(f"{kind} ")), pattern)


def rows(runs: dict[Tool, list[SuiteRun]]) -> Iterator[list[str]]:
    """Yield the cells of each tool: tests, reports, leaks by kind, places, and the extra time."""
    plain = runs[WITHOUT]
    # A test that fails without a tool, in any round, says nothing of one.
    failed = set[str]().union(*(run.failed for run in plain))
    for tool, measured in runs.items():
        if tool is not WITHOUT:
            reported = set[str]().union(*(run.failed for run in measured)) - failed
            leaks = measured[0].leaks
            kinds = Counter(kind_of(pattern) for pattern, _ in leaks).most_common()
            yield [
                tool.name,
                str(len(measured[0].tests)),
                str(len(reported)),
                ", ".join(f"{count} {kind}" for kind, count in kinds) or "-",
                str(len({place or pattern for pattern, place in leaks})) if leaks else "-",
                extra([run.elapsed for run in measured], [run.elapsed for run in plain]),
                extra([run.processor for run in measured], [run.processor for run in plain]),
            ]


def extra(measured: Sequence[float], plain: Sequence[float]) -> str:
    """Return the percentage by which the minimum exceeds the minimum without a tool."""
    return f"{(min(measured) / min(plain) - 1) * 100:+.1f} %"
