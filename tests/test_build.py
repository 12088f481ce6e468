"""The library as it is built: compiled where that is possible, whole and interpreted elsewhere.

Everything is built from a copy of the checkout, in an environment that has what `pyproject.toml`
asks for and nothing else. Each build is made once, also when several workers run the tests.
"""

import os
import shutil
import sys
import sysconfig
import tarfile
import tomllib
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.builds import (
    NOT_COMPILED,
    ROOT,
    assert_interpreted,
    checkout,
    names,
    only,
    run,
    sources,
    use,
    wheel_of,
)

fcntl = pytest.importorskip("fcntl", reason="builds are proved on POSIX only")

COMPILER = shutil.which(os.environ.get("CC", "cc"))

pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.py").exists(), reason="tests an installed library, which is built already"
)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")

# Stands for a compiler: it makes empty files, and fails in its tenth call if that is asked for.
FAKE_COMPILER = """\
#!/bin/sh
echo called >>"$0.calls"
if [ -n "$FAILS" ] && [ "$(wc -l <"$0.calls")" -gt 9 ]; then
    echo "/usr/bin/ld: final link failed: $FAILS" >&2
    exit 1
fi
while [ "$1" != -o ]; do shift; done
: >"$2"
"""

# With the first two, a warning is an error; with the last, NaN and infinity are taken for numbers.
HOSTILE = "-Wextra -Werror -ffast-math"

FREE_THREADED = "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1"
PYPY = "import sys; sys.implementation.name = 'pypy'"

Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fill a folder once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def filled(name: str, fill: Callable[[Path], None]) -> Path:
        folder = shared / f"build-{name}"
        with (shared / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                started = folder.with_suffix(".started")
                started.mkdir()
                fill(started)
                started.rename(folder)
        return folder

    return filled


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory, once: Once) -> Path:
    """Return a Python that has what the build asks for, and no metrics."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]

    def fill(folder: Path) -> None:
        # Environments cannot be moved, so the folder only says where this one is.
        place = tmp_path_factory.mktemp("tools")
        run(sys.executable, "-m", "venv", place)
        run(place / "bin" / "python", "-m", "pip", "install", "-q", "build", *needed)
        (folder / "place").write_text(str(place))

    return Path((once("tools", fill) / "place").read_text()) / "bin" / "python"


@pytest.fixture(scope="session")
def distributions(once: Once, tools: Path) -> Path:
    """Return a folder with the sdist, and the wheel that was built from it with a C compiler."""

    def fill(folder: Path) -> None:
        source = checkout(folder)
        run(tools, "-m", "build", "--no-isolation", "-o", folder / "out", source, CFLAGS=HOSTILE)

    return once("distributions", fill) / "out"


@pytest.fixture(scope="session")
def compiled(distributions: Path) -> Path:
    return only(distributions.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    return only(distributions.glob("*.tar.gz"))


@pytest.fixture
def fake_compiler(tmp_path: Path) -> Path:
    path = tmp_path / "cc"
    path.write_text(FAKE_COMPILER)
    path.chmod(0o755)
    return path


@needs_compiler
def test_with_a_c_compiler_every_instrument_is_compiled(compiled, tools, tmp_path):
    seen = use(tools, compiled, tmp_path)
    assert (seen["compiled"], seen["count"], seen["max"]) == (True, 7, 2.0)
    # A compiled family would crash with weak references (CPython 3.11).
    interpreted = [Path(path).name for path in seen["core"] if path.endswith(".py")]
    assert interpreted == ["_family.py"]
    assert not compiled.name.endswith("-any.whl")


@needs_compiler
def test_a_compiled_wheel_has_the_source_beside_each_module_and_its_types_but_nothing_else(
    compiled,
):
    inside = {name for name in names(compiled) if ".dist-info/" not in name}
    libraries = {name for name in inside if name.endswith((".so", ".pyd"))}
    assert inside - libraries == sources()
    modules = {name.partition(".")[0] + ".py" for name in libraries if "/" in name}
    assert len(modules) > 10
    assert modules <= sources()


def test_the_sdist_has_what_a_build_needs_and_neither_tests_nor_what_was_built(sdist):
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() | {"setup.py", "pyproject.toml", "README.md", "LICENSE"} <= inside
    assert not [name for name in inside if name.startswith(("tests", "build", "app"))]
    assert not [name for name in inside if name.endswith((".so", ".pyd", ".c", ".h"))]


def test_without_a_c_compiler_the_source_in_an_sdist_is_installed_and_one_line_says_so(
    sdist, tools, tmp_path
):
    nothing = tmp_path / "bin"
    nothing.mkdir()
    wheel, reasons = wheel_of(tools, sdist, tmp_path, PATH=nothing, CC=nothing / "cc")
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert reason.startswith(NOT_COMPILED + "the C compiler failed (")
    assert str(nothing / "cc") in reason
    assert len(reason) < 300


def test_a_compiler_that_fails_half_way_leaves_nothing_compiled_behind(
    fake_compiler, tools, tmp_path
):
    source = checkout(tmp_path)
    wheel, reasons = wheel_of(tools, source, tmp_path, CC=fake_compiler, FAILS="no space left")
    assert fake_compiler.with_suffix(".calls").read_text().count("called") == 10
    assert_interpreted(tools, wheel, tmp_path)
    failed = "the C compiler failed (/usr/bin/ld: final link failed: no space left)"
    assert reasons == [NOT_COMPILED + failed]
    assert not [*source.rglob("*.so")]


def test_compiled_modules_that_do_not_load_are_left_out_and_so_are_those_of_earlier_builds(
    fake_compiler, tools, tmp_path
):
    source = checkout(tmp_path)
    place = f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    earlier = source / "build" / place / "metrics" / f"old{EXTENSION_SUFFIXES[0]}"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    wheel, reasons = wheel_of(tools, source, tmp_path, CC=fake_compiler)
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert reason.startswith(NOT_COMPILED + "loading the compiled modules failed (ImportError: ")


def test_what_is_compiled_for_another_machine_is_not_loaded(fake_compiler, tools, tmp_path):
    other = {"_PYTHON_HOST_PLATFORM": "linux-other"}
    wheel, reasons = wheel_of(tools, checkout(tmp_path), tmp_path, CC=fake_compiler, **other)
    assert reasons == []
    assert wheel.name.endswith("-linux_other.whl")


@pytest.mark.parametrize(
    ("module", "code", "environ", "reason"),
    [
        ("none", "", {"WIRED_METRICS_PURE": 1}, "WIRED_METRICS_PURE is set"),
        ("mypyc", "raise ImportError('hidden')", {}, "mypyc is not there (hidden)"),
        ("sitecustomize", FREE_THREADED, {}, "this is a free-threaded interpreter"),
        ("sitecustomize", PYPY, {}, "mypyc compiles for CPython, and this is pypy"),
    ],
    ids=["asked for", "no mypyc", "free-threaded", "PyPy"],
)
def test_where_nothing_can_or_shall_be_compiled_the_source_is_installed_and_one_line_says_so(
    module, code, environ, reason, tools, tmp_path
):
    (tmp_path / f"{module}.py").write_text(code)
    source = checkout(tmp_path)
    wheel, reasons = wheel_of(tools, source, tmp_path, PYTHONPATH=tmp_path, **environ)
    assert_interpreted(tools, wheel, tmp_path)
    assert reasons == [NOT_COMPILED + reason]


def test_source_that_mypyc_refuses_is_installed_as_it_is_and_one_line_says_why(tools, tmp_path):
    source = checkout(tmp_path)
    with (source / "metrics" / "instruments" / "_counter.py").open("a") as module:
        module.write('\nWRONG: int = "text"\n')
    wheel, reasons = wheel_of(tools, source, tmp_path)
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert reason.startswith(NOT_COMPILED + "mypyc failed (metrics/instruments/_counter.py:")
    assert "Incompatible types in assignment" in reason


@pytest.mark.parametrize("locked", [True, False])
def test_an_interpreter_that_runs_without_its_lock_is_refused(locked, tmp_path):
    code = f"import sys; sys._is_gil_enabled = lambda: {locked}; sys.path.insert(0, {str(ROOT)!r})"
    code += "\ntry: import metrics\nexcept ImportError as error: print(error)"
    said = run(sys.executable, "-c", code, cwd=tmp_path)
    assert ("PYTHON_GIL=1" in said) is not locked


def test_an_editable_installation_runs_the_source_that_is_edited(tools, tmp_path):
    source = checkout(tmp_path)
    pip = (tools, "-m", "pip", "install", "--no-deps", "--no-build-isolation")
    run(*pip, "--prefix", tmp_path / "prefix", "-e", source)
    assert not [path for kind in ("*.so", "*.pyd", "*.c") for path in source.rglob(kind)]

    with (source / "metrics" / "__init__.py").open("a") as module:
        module.write("\nEDITED = True\n")
    site = only((tmp_path / "prefix").rglob("site-packages"))
    code = f"import site; site.addsitedir({str(site)!r}); import metrics; "
    seen = run(tools, "-c", code + "print(metrics.COMPILED, metrics.EDITED)", cwd=tmp_path)
    assert seen.split() == ["False", "True"]
