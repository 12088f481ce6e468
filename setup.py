"""Compiles the hot core of the library where that is possible, all of it or nothing.

`pip install .` compiles with mypyc. Without a C compiler, or when the compilation fails half way,
or when what it makes does not load, the same source is installed as it is and runs interpreted; one
line says so, and why. `WIRED_METRICS_PURE=1` asks for that. An editable installation is never
compiled, because compiled modules would stand in front of the source that is edited.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from setuptools import setup
from setuptools.command.build_ext import build_ext

CORE = [
    "metrics/exporters/exposition/creations.py",
    "metrics/exporters/exposition/forms.py",
    "metrics/exporters/exposition/geth.py",
    "metrics/exporters/exposition/layout.py",
    "metrics/exporters/exposition/page.py",
    "metrics/exporters/openmetrics.py",
    "metrics/exporters/prometheus.py",
    "metrics/exporters/reading/single.py",
    "metrics/exporters/writing/floats.py",
    "metrics/instruments/_arguments.py",
    "metrics/instruments/_buckets.py",
    "metrics/instruments/_counter.py",
    "metrics/instruments/_durations.py",
    "metrics/instruments/_ewma.py",
    "metrics/instruments/_expdecay.py",
    "metrics/instruments/_gauge.py",
    "metrics/instruments/_healthcheck.py",
    "metrics/instruments/_histogram.py",
    "metrics/instruments/_info.py",
    "metrics/instruments/_labels.py",
    "metrics/instruments/_meter.py",
    "metrics/instruments/_resetting.py",
    "metrics/instruments/_resetting_timer.py",
    "metrics/instruments/_sample.py",
    "metrics/instruments/_shared.py",
    "metrics/instruments/_timer.py",
    "metrics/instruments/_uniform.py",
    "metrics/registry/_entries.py",
    "metrics/registry/_exported_names.py",
    "metrics/ticker.py",
    "metrics/_turns.py",
    "metrics/_units.py",
]

# mypyc has warnings stop the build, and so may CFLAGS, but no warning makes the source the better
# choice; infinity and NaN have to stay what they are, whatever CFLAGS ask for; and nobody links to
# the names inside, so that calls between them need no detour.
FLAGS = ["-Wno-error", "-fno-fast-math", "-fvisibility=hidden"]

# What compilers, linkers, mypy and Python write before they give up.
COMPLAINT = re.compile(r"(?<!-)\b\w*error\b.*:|\bcannot find\b|\bfailed: ", re.IGNORECASE)

LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
import wired_metrics__mypyc
from metrics import *
"""


class NotCompiledError(Exception):
    """Something on the way to compiled modules failed; says what, and why, in one short line."""


def interpreted(reason: object) -> None:
    """Say that the library is installed without being compiled."""
    # pip shows what a build prints only with -v, or when it goes to the terminal itself.
    sys.stderr.write(f"wired-metrics: not compiled, runs interpreted: {reason}\n")


@contextmanager
def written_to(log: IO[str]) -> Iterator[None]:
    """Have all that this process and its children write arrive in a file."""
    flush()
    # Compilers write to the descriptors, which sys.stdout and sys.stderr know nothing of.
    kept = [(os.dup(descriptor), descriptor) for descriptor in (1, 2)]
    try:
        for _, descriptor in kept:
            os.dup2(log.fileno(), descriptor)
        yield
    finally:
        flush()
        for copy, descriptor in kept:
            os.dup2(copy, descriptor)
            os.close(copy)


def flush() -> None:
    """Have what was written before go where it should, and not where writing goes from now on."""
    sys.stdout.flush()
    sys.stderr.flush()


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn whatever fails inside into the first complaint that was written there."""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        try:
            with written_to(log):
                yield
        except (Exception, SystemExit) as error:
            log.seek(0)
            reason = next(filter(COMPLAINT.search, log), str(error) or type(error).__name__)
            raise NotCompiledError(f"{what} failed ({textwrap.shorten(reason, 200)})") from error
        finally:
            log.seek(0)
            sys.stderr.write(log.read())


def obstacle() -> str | None:
    """Return why there is nothing to be tried here, or None."""
    if os.environ.get("WIRED_METRICS_PURE", "0") not in {"", "0"}:
        return "WIRED_METRICS_PURE is set"
    if sys.implementation.name != "cpython":
        return f"mypyc compiles for CPython, and this is {sys.implementation.name}"
    # mypyc would mark its modules as safe there, which updates are not.
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this is a free-threaded interpreter"
    return None


def extensions() -> list:
    """Return the extension modules to compile: none, if that was asked for or is impossible."""
    # The same file is run for the metadata, for an sdist and for an editable installation too.
    if not {"bdist_wheel", "build", "build_ext"} & set(sys.argv):
        return []
    if reason := obstacle():
        interpreted(reason)
        return []
    try:
        from mypyc.build import mypycify  # noqa: PLC0415
    except ImportError as error:
        interpreted(f"mypyc is not there ({error})")
        return []
    try:
        with explained("mypyc"):
            return mypycify(
                ["--strict", *CORE],
                group_name="wired_metrics",
                strip_asserts=False,
                debug_level="0",
            )
    except NotCompiledError as error:
        interpreted(error)
        return []


class AllOrNothing(build_ext):
    """Builds every extension module, or leaves none behind."""

    def run(self) -> None:
        """Build, try what was built, and fall back to the source."""
        self.remove_compiled()
        try:
            with explained("the C compiler"):
                super().run()
            # What was built for another machine cannot be tried on this one.
            if "_PYTHON_HOST_PLATFORM" not in os.environ:
                with explained("loading what was compiled"):
                    self.load()
        except NotCompiledError as error:
            self.remove_compiled()
            self.extensions.clear()
            # The wheel was taken for one with compiled modules, and would be tagged so.
            if "bdist_wheel" in self.distribution.command_obj:
                self.get_finalized_command("bdist_wheel").root_is_pure = True
            interpreted(error)

    def build_extensions(self) -> None:
        """Build with flags of our own where the compiler is one that knows them."""
        if self.compiler.compiler_type == "unix":
            for extension in self.extensions:
                # They may share one list.
                extension.extra_compile_args = [*extension.extra_compile_args, *FLAGS]
        super().build_extensions()

    def load(self) -> None:
        """Import what was built, in a process of its own: it may crash."""
        command = [sys.executable, "-IBc", LOAD, self.build_lib]
        if code := subprocess.run(command, check=False).returncode:  # noqa: S603
            raise NotCompiledError(f"exit code {code}")

    def remove_compiled(self) -> None:
        """Remove what this build or an earlier one has compiled."""
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for path in [*self.get_outputs(), *Path(self.build_lib).rglob(f"*{suffix}")]:
            Path(path).unlink(missing_ok=True)


setup(ext_modules=extensions(), cmdclass={"build_ext": AllOrNothing})
