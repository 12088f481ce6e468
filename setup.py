"""Build of the library: its hot core is compiled as a whole, or installed as source.

`pip install .` compiles with mypyc. Without a C compiler, or when the compilation fails or its
result does not load, the same source is installed and runs interpreted; one line names the reason.
`WIRED_METRICS_PURE=1` requests that, and with `WIRED_METRICS_PURE=0` it is an error, as for wheels
that are published. An editable installation is never compiled, because compiled modules would hide
the edited source.
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
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from setuptools import setup
from setuptools.command.build_ext import build_ext

# Every other module in metrics/instruments is compiled.
NEVER_COMPILED = {
    "__init__",  # has no code
    "_inner",  # as __init__
    "_blocks",  # is entered seldom, and its classes are made for one block each
    "_calls",  # mypyc drops the cause of `raise ... from`
    "_expiry",  # mypyc fails to load a named tuple with a field of type object
    "_reservoir",  # a compiled protocol cannot be inherited from
    "_snapshot",  # as _reservoir
    "_typed_family",  # has a generic class, and compiled ones crash with weak references
    "_wrapping",  # wraps coroutines and generators, whose kind inspect does not see when compiled
}

CORE = [
    "metrics/exporters/_exposition/distributions.py",
    "metrics/exporters/_exposition/escaping.py",
    "metrics/exporters/_exposition/families.py",
    "metrics/exporters/_exposition/geth.py",
    "metrics/exporters/_exposition/layout.py",
    "metrics/exporters/_exposition/layouts.py",
    "metrics/exporters/_exposition/page.py",
    "metrics/exporters/_exposition/reading.py",
    "metrics/exporters/_exposition/writing.py",
    "metrics/exporters/openmetrics.py",
    "metrics/exporters/otlp/_layout.py",
    "metrics/exporters/prometheus.py",
    "metrics/exporters/_series/views.py",
    "metrics/exporters/_encoding/numbers.py",
    "metrics/integrations/_http/asgi.py",
    "metrics/integrations/_http/instruments.py",
    "metrics/integrations/_http/measurement.py",
    "metrics/integrations/_http/wsgi.py",
    *sorted(
        path.as_posix()
        for path in Path("metrics/instruments").glob("*.py")
        if path.stem not in NEVER_COMPILED
    ),
    "metrics/registry/_entries.py",
    "metrics/registry/_names.py",
    "metrics/ticker.py",
    "metrics/_turns.py",
    "metrics/_units.py",
]

# mypyc turns warnings into errors, and CFLAGS may do so too, but no warning makes the source the
# better choice; infinity and NaN must keep their meaning under any CFLAGS; and hidden symbols are
# called without the indirection of exported ones.
FLAGS = ["-Wno-error", "-fno-fast-math", "-fvisibility=hidden"]

# A parser of arguments that may be positional, with its required ones, and its call. Their number
# is a constant here; read from the parser, it would be three fields in memory for each update.
PARSER = re.compile(
    r'(parser = \{"(O*)[|:](?:(?!CPyArg_Parse).)*)CPyArg_ParseStackAndKeywordsSimple\(', re.DOTALL
)

# A parser of `*args, **kwargs` alone, and its call.
PARSER_OF_ANY = re.compile(
    r'(parser = \{"%:(?:(?!CPyArg_Parse).)*)CPyArg_ParseStackAndKeywords(?=\([^)]*, &\w+, &\w+\))',
    re.DOTALL,
)

# A call without arguments whose result is an int, as that of a clock.
CALL = re.compile(
    r"(\w+) = PyObject_Vectorcall\((\w+), 0, 0, 0\);\s+CPy_DECREF\(\2\);"
    r"\s+if \(unlikely\(\1 == NULL\)\) \{[^}]*\}"
    r"\s+if \(likely\(PyLong_Check\(\1\)\)\)\s+(\w+) = CPyTagged_FromObject\(\1\);"
    r"\s+else \{[^}]*\}\s+CPy_DECREF\(\1\);"
)

# Without exemplars a counter refers to nothing, and the garbage collector need not know of it; the
# source of exemplars may refer to anything. The collections that 100,000 new counters cause take
# longer than their creation.
TRACKING = {
    r"Def__counter___(?:Float)?Counter_____init__\(PyObject \*cpy_r_self\) \{": (
        "PyObject_GC_UnTrack(cpy_r_self);"
    ),
    r"Def__cumulative___Traceable____recorder\(PyObject \*cpy_r_self\) \{": (
        "if (!PyObject_GC_IsTracked(cpy_r_self)) PyObject_GC_Track(cpy_r_self);"
    ),
}

# Last words of compilers, linkers, mypy and Python.
COMPLAINT = re.compile(r"(?<!-)\b\w*error\b.*:|\bcannot find\b|\bfailed: ", re.IGNORECASE)

LOAD = """
import sys
sys.path[:0] = sys.argv[1:]
import wired_metrics__mypyc
from metrics import *
"""


class StepError(Exception):
    """Failure of one step of the compilation: its name and the reason, in one short line."""


def report_interpreted(reason: object) -> None:
    """Report that the library is installed without being compiled.

    Raises:
        SystemExit: the environment requires compiled modules.
    """
    if os.environ.get("WIRED_METRICS_PURE") == "0":
        raise SystemExit(
            f"wired-metrics: not compiled, as WIRED_METRICS_PURE=0 requires: {reason}; "
            "without this variable, the source is installed and runs interpreted"
        )
    # pip shows what a build prints only with -v, or when it goes to the terminal itself.
    sys.stderr.write(f"wired-metrics: not compiled, runs interpreted: {reason}\n")


@contextmanager
def redirect_output(log: IO[str]) -> Iterator[None]:
    """Write the output of this process and of its children to a file."""
    flush()
    # Compilers bypass sys.stdout and sys.stderr and write to the descriptors.
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
    """Flush the buffered output to its present destination, before the descriptors change."""
    sys.stdout.flush()
    sys.stderr.flush()


@contextmanager
def explain_failure(step: str) -> Iterator[None]:
    """Run a step of the compilation, and reduce its failure to the first complaint in its output.

    Raises:
        StepError: the step raised an exception, or exited.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        try:
            with redirect_output(log):
                yield
        except (Exception, SystemExit) as error:
            log.seek(0)
            reason = next(filter(COMPLAINT.search, log), str(error) or type(error).__name__)
            raise StepError(f"{step} failed ({textwrap.shorten(reason, 200)})") from error
        finally:
            log.seek(0)
            sys.stderr.write(log.read())


def obstacle() -> str | None:
    """Return the reason why this interpreter cannot or shall not compile, or None."""
    if os.environ.get("WIRED_METRICS_PURE", "0") not in {"", "0"}:
        return "WIRED_METRICS_PURE is set"
    if sys.implementation.name != "cpython":
        return f"mypyc compiles for CPython, and this is {sys.implementation.name}"
    # mypyc marks its modules as safe without the GIL, but updates rely on it.
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this is a free-threaded interpreter"
    return None


def extensions() -> list:
    """Return the extension modules to compile: none, if that is not wanted or impossible."""
    # The metadata, an sdist and an editable installation are made by this file too.
    if not {"bdist_wheel", "build", "build_ext"} & set(sys.argv):
        return []
    if reason := obstacle():
        report_interpreted(reason)
        return []
    try:
        from mypyc.build import mypycify  # noqa: PLC0415
    except ImportError as error:
        report_interpreted(f"mypyc is not there ({error})")
        return []
    try:
        with explain_failure("mypyc"):
            # Uncompiled modules need packages of extras, which a build does not have.
            modules = mypycify(
                ["--strict", "--follow-imports=silent", *CORE],
                group_name="wired_metrics",
                strip_asserts=False,
                debug_level="0",
            )
    except StepError as error:
        report_interpreted(error)
        return []
    inline(modules)
    document(modules)
    return modules


def inline(modules: list) -> None:
    """Add `setup_macros.h` and its calls to the C code of extension modules, below its headers."""
    macros = Path(__file__).with_name("setup_macros.h").read_text(encoding="utf-8")
    for file in {Path(file) for module in modules for file in module.sources}:
        code = file.read_text(encoding="utf-8")
        head, include, body = code.partition('#include "__native_internal_')
        if include:
            rest, line_feed, body = body.partition("\n")
            body = PARSER.sub(lambda found: f"{found[1]}PARSE({len(found[2])}, ", body)
            body = PARSER_OF_ANY.sub(r"\1PARSE_ANY", body)
            body = CALL.sub(r"CALL_CLOCK(\3, \2, \g<0>)", body)
            for function, statement in TRACKING.items():
                body = re.sub(function, rf"\g<0> {statement}", body)
            file.write_text(head + include + rest + line_feed + macros + body, encoding="utf-8")


def document(modules: list) -> None:
    """Add docstrings to the C code of extension modules, or report that this is impossible."""
    # An isolated build has no import path to the folder of this file.
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        with explain_failure("adding docstrings"):
            from setup_docstrings import add_docstrings  # noqa: PLC0415 - needs mypyc

            add_docstrings(CORE, {Path(file) for module in modules for file in module.sources})
    except StepError as error:
        sys.stderr.write(f"wired-metrics: compiled without all docstrings: {error}\n")


class AllOrNothing(build_ext):
    """Command that builds every extension module, or leaves none behind."""

    def run(self) -> None:
        """Build and load the extension modules, or fall back to the source."""
        self.remove_compiled()
        try:
            with explain_failure("the C compiler"):
                super().run()
            # Modules for another machine cannot be loaded on this one.
            if "_PYTHON_HOST_PLATFORM" not in os.environ:
                with explain_failure("loading the compiled modules"):
                    self.load()
        except StepError as error:
            self.remove_compiled()
            self.extensions.clear()
            # The wheel was planned with compiled modules, and would be tagged for this platform.
            if "bdist_wheel" in self.distribution.command_obj:
                self.get_finalized_command("bdist_wheel").root_is_pure = True
            report_interpreted(error)

    def build_extensions(self) -> None:
        """Build with our flags, if the compiler takes them."""
        if self.compiler.compiler_type == "unix":
            for extension in self.extensions:
                # They may share one list.
                extension.extra_compile_args = [*extension.extra_compile_args, *FLAGS]
                # Linked with -ffast-math, a library takes subnormal numbers from the whole process.
                extension.extra_link_args = [*extension.extra_link_args, "-fno-fast-math"]
        super().build_extensions()

    def load(self) -> None:
        """Import the compiled modules in a process of their own, because they may crash it.

        Raises:
            ModuleNotFoundError: librt is missing, the runtime library of mypyc.
            StepError: the process failed.
        """
        # -I hides the folder with the requirements of an isolated build.
        libraries = Path(find_spec("librt.vecs").origin).parents[1]
        command = [sys.executable, "-IBc", LOAD, self.build_lib, str(libraries)]
        if code := subprocess.run(command, check=False).returncode:  # noqa: S603
            raise StepError(f"exit code {code}")

    def remove_compiled(self) -> None:
        """Remove the compiled modules of this build and of earlier ones."""
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for path in [*self.get_outputs(), *Path(self.build_lib).rglob(f"*{suffix}")]:
            Path(path).unlink(missing_ok=True)


setup(ext_modules=extensions(), cmdclass={"build_ext": AllOrNothing})
