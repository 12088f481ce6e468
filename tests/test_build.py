"""Builds of the library: compiled where that is possible, interpreted as a whole elsewhere.

Each is made from a copy of the checkout, in an environment with the build requirements of
`pyproject.toml` alone, and once for all workers of a test run.
"""

import json
import os
import shutil
import sys
import sysconfig
import tarfile
import tomllib
from collections.abc import Callable, Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.builds import (
    NOT_COMPILED,
    ROOT,
    assert_interpreted,
    build_wheel,
    checkout,
    names,
    only,
    pack_installed,
    pip,
    result_of,
    run,
    sources,
    use,
    wheel_of,
)

fcntl = pytest.importorskip("fcntl", reason="builds are proved on POSIX only")

COMPILER = shutil.which(os.environ.get("CC", "cc"))

pytestmark = [
    pytest.mark.skipif(
        not (ROOT / "setup.py").exists(),
        reason="tests an installed library, which is built already",
    ),
    pytest.mark.slow(reason="builds wheels"),
]
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")

# Stand-in for a compiler: it makes empty files, and fails in its tenth call if FAILS is set.
FAKE_COMPILER = """\
#!/bin/sh
echo "$@" >>"$0.calls"
if [ -n "$FAILS" ] && [ "$(wc -l <"$0.calls")" -gt 9 ]; then
    echo "/usr/bin/ld: final link failed: $FAILS" >&2
    exit 1
fi
while [ "$1" != -o ]; do shift; done
: >"$2"
"""

# With it, NaN and infinity are taken for numbers; with the others, a warning is an error.
FAST = "-ffast-math"
HOSTILE = f"-Wextra -Werror {FAST}"

FREE_THREADED = "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1"
PYPY = "import sys; sys.implementation.name = 'pypy'"

# Stand-in for a mypyc of another version, whose C code is empty and has no place for a docstring.
# The real one takes as long for each build as all other steps together.
FAKE_MYPYC = {
    "__init__.py": "",
    "build.py": """\
from pathlib import Path
from setuptools import Extension
def mypycify(arguments, **options):
    names = [path[:-3].replace("/", ".") for path in arguments if path.endswith(".py")]
    Path("build").mkdir(exist_ok=True)
    Path("build/empty.c").touch()
    return [Extension(name, ["build/empty.c"]) for name in ["wired_metrics__mypyc", *names]]
""",
    "namegen.py": """\
class NameGenerator:
    def __init__(self, groups):
        pass
    def private_name(self, module, name):
        return f"{module}___{name}"
""",
}

# Prints the docstrings and signatures of modules, and of their classes, methods, properties and
# functions, without all that C cannot express: annotations, defaults that are objects, and a `self`
# that is passed by name.
DOCUMENTATION = """\
import importlib, inspect, json, sys
LITERAL = (int, float, str, tuple, type(None))
found = {}
def doc(item):
    return inspect.cleandoc(item.__doc__ or "")
def signature(function, method):
    taken = [*inspect.signature(function).parameters.values()]
    taken = taken[1:] if method and taken and taken[0].name == "self" else taken
    return [(p.name, p.kind.name, p.default is not p.empty
             and (repr(p.default) if isinstance(p.default, LITERAL) else "...")) for p in taken]
for path in sys.argv[1:]:
    module = importlib.import_module(path)
    found[path] = doc(module)
    for name, item in vars(module).items():
        # Named tuples are made by typing, also of compiled modules.
        if getattr(item, "__module__", None) != path or isinstance(item, type(list[int])):
            continue
        if inspect.isclass(item) and not issubclass(item, tuple):
            found[f"{path}.{name}"] = doc(item), signature(item, False)
            for name, member in [(f"{path}.{name}.{key}", getattr(item, key))
                                 for key in vars(item) if not key.startswith("__")]:
                # Coroutine functions of mypyc have no attributes for either.
                if inspect.isroutine(member) and not inspect.iscoroutinefunction(member):
                    found[name] = doc(member), signature(member, True)
                elif inspect.isdatadescriptor(member) and member.__doc__:
                    found[name] = doc(member)
        elif inspect.isroutine(item):
            found[f"{path}.{name}"] = doc(item), signature(item, False)
print(json.dumps(found))
"""

# One definition of each kind, with defaults and characters that C writes in its own way.
CORNERS = """\
'''Corners: "quotes", \\\\ and ??( and %s and é.

    Indented, 1\t2.
'''
from typing import NamedTuple, final
from limits import RANDOM, SIZE
from limits import UNIT as BASE

TWICE: float = -0.5
ALIAS = TWICE
BOUNDS = (1.0, 2.5 * SIZE)

class Base:
    def __init__(self, size: int = SIZE, *sizes: int, unit: str = BASE, of: object = RANDOM):
        self.size = size

    def method(self, first: int, second: float = ALIAS, *, third: "str | None" = None) -> int:
        '''Do one line.'''
        return first

    def bare(self, texts: tuple[float, ...] = BOUNDS, text: str = "a\\n'\\"") -> None:
        pass

class Derived(Base):
    '''Derived, of an inherited signature.

        Deeper.
    '''
    def method(self, first: int, second: float = 1.0, *, third: "str | None" = "") -> int:
        '''Override "it".'''
        return 1

    @staticmethod
    def static(size: int = 1) -> int:
        '''Take no self.'''
        return size

    @classmethod
    def of(cls, /, size: bool = True) -> "Derived":
        '''Make one.'''
        return cls()

    @property
    def read(self) -> int:
        '''Read-only.'''
        return 1

    @property
    def written(self) -> int:
        '''Read and written.'''
        return 1

    @written.setter
    def written(self, value: int) -> None:
        '''Hidden by that of the property.'''

@final
class Empty:
    pass

class Pair(NamedTuple):
    '''Two.'''
    first: int

def function(first: int, /, second: int = SIZE, **more: int) -> int:
    '''Return it.'''
    return first

def silent(size: int = 2 ** SIZE - 1, of: object = RANDOM) -> None:
    pass
"""

SETUP_CORNERS = """\
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from mypyc.build import mypycify
from setuptools import setup
from setup_docstrings import add_docstrings
modules = mypycify(["corners.py"], opt_level="0", debug_level="0")
# The second time finds the code of the first, as a second build does.
for _ in range(2):
    add_docstrings(["corners.py"], {{Path(file) for module in modules for file in module.sources}})
setup(name="corners", py_modules=[], ext_modules=modules)
"""

Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fill a folder once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def filled(name: str, fill: Callable[[Path], None]) -> Path:
        folder = shared / f"build-{name}"
        with (shared / f"build-{name}.lock").open("w") as lock:
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
    """Return a Python with the build requirements, and without metrics."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]

    def fill(folder: Path) -> None:
        # Environments cannot be moved, so the folder only says where this one is.
        place = tmp_path_factory.mktemp("tools")
        run(sys.executable, "-m", "venv", "--without-pip", place)
        pip(place / "bin" / "python", "install", "-q", "--no-compile", "build", *needed)
        (folder / "place").write_text(str(place))

    return Path((once("tools", fill) / "place").read_text()) / "bin" / "python"


@pytest.fixture(scope="session")
def sdist(once: Once, tools: Path) -> Path:
    def fill(folder: Path) -> None:
        build = (tools, "-m", "build", "--no-isolation", "--sdist", "-o", folder / "out")
        run(*build, checkout(folder))

    return only((once("sdist", fill) / "out").glob("*.tar.gz"))


@pytest.fixture(scope="session")
def compiled(
    tmp_path_factory: pytest.TempPathFactory, once: Once, tools: Path, sdist: Path
) -> Path:
    """Return a compiled wheel: what CI has installed, or what a C compiler makes of the sdist."""

    def fill(folder: Path) -> None:
        if "CI" in os.environ and pack_installed(folder / "out"):
            return
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        # As in pip's isolated build, the requirements are in PYTHONPATH only, which -I ignores.
        place = tmp_path_factory.mktemp("bare")
        run(sys.executable, "-m", "venv", "--without-pip", place)
        site = run(tools, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        # The optimization of setup.py takes five times as long, and warnings as long again.
        quick = folder / "cc"
        quick.write_text(f'#!/bin/sh\nexec {COMPILER} "$@" -O0 -w\n')
        quick.chmod(0o755)
        environ = {"CC": quick, "CFLAGS": FAST, "PYTHONPATH": site}
        source = only(folder.glob("wired_metrics-*"))
        build_wheel(place / "bin" / "python", source, folder, **environ)

    return only((once("compiled", fill) / "out").glob("*.whl"))


def documentation(tools: Path, modules: Iterable[str], site: Path) -> dict:
    """Return docstrings and signatures of modules that are imported from a folder."""
    return json.loads(run(tools, "-c", DOCUMENTATION, *modules, cwd=site.parent, PYTHONPATH=site))


@pytest.fixture
def fake_compiler(tmp_path: Path) -> Path:
    path = tmp_path / "cc"
    path.write_text(FAKE_COMPILER)
    path.chmod(0o755)
    return path


@pytest.fixture
def fake_mypyc(tmp_path: Path) -> Path:
    """Return an import path to a stand-in for mypyc."""
    path = tmp_path / "fake"
    (path / "mypyc").mkdir(parents=True)
    for name, code in FAKE_MYPYC.items():
        (path / "mypyc" / name).write_text(code)
    return path


@needs_compiler
def test_with_a_c_compiler_every_instrument_is_compiled(compiled, tools, tmp_path):
    seen = use(tools, compiled, tmp_path)
    assert (seen["compiled"], seen["count"], seen["max"]) == (True, 7, 2.0)
    assert seen["subnormal"]
    # A compiled named tuple, as that of exemplars, has no docstring.
    interpreted = [Path(path).name for path in seen["core"] if path.endswith(".py")]
    assert interpreted == ["_snapshot.py"]
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


@needs_compiler
def test_compiled_modules_are_documented_as_their_source_is(compiled, tools, tmp_path):
    compiled_paths = [name.split(".")[0] for name in names(compiled) if name.endswith(".so")]
    modules = [path.replace("/", ".") for path in compiled_paths if "/" in path]
    with ZipFile(compiled) as archive:
        archive.extractall(tmp_path / "site")
    source = checkout(tmp_path)
    expected = documentation(tools, modules, source)
    assert len(expected) > 10 * len(modules) > 100
    assert documentation(tools, modules, tmp_path / "site") == expected


@needs_compiler
def test_every_kind_of_definition_keeps_its_docstring_and_signature(tools, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "limits.py").write_text("SIZE = 3\nUNIT: str = 's'\nRANDOM = object()\n")
    (source / "corners.py").write_text(CORNERS)
    (source / "setup.py").write_text(SETUP_CORNERS.format(root=str(ROOT)))
    expected = documentation(tools, ["corners"], source)
    run(tools, "setup.py", "-q", "build_ext", "--build-lib", out, cwd=source)
    shutil.copy(source / "limits.py", out)
    assert documentation(tools, ["corners"], out) == expected
    said = run(tools, "-c", "import corners; print(corners.__file__)", PYTHONPATH=out)
    assert not said.strip().endswith(".py")


def test_no_flag_of_the_environment_makes_warnings_errors_or_numbers_inexact(
    fake_mypyc, fake_compiler, tools, tmp_path
):
    environ = {"PYTHONPATH": fake_mypyc, "CC": fake_compiler, "CFLAGS": HOSTILE}
    wheel_of(tools, checkout(tmp_path), tmp_path, **environ)
    calls = fake_compiler.with_suffix(".calls").read_text().splitlines()
    # The last one of two flags counts.
    assert calls
    for flags in map(str.split, calls):
        assert "-c" not in flags or flags.index("-Werror") < flags.index("-Wno-error")
        assert flags.index("-ffast-math") < flags.index("-fno-fast-math")


def test_for_another_machine_nothing_is_loaded_and_another_mypyc_compiles_without_docstrings(
    fake_mypyc, fake_compiler, tools, tmp_path
):
    environ = {"PYTHONPATH": fake_mypyc, "CC": fake_compiler}
    log = build_wheel(
        tools, checkout(tmp_path), tmp_path, _PYTHON_HOST_PLATFORM="linux-other", **environ
    )
    assert NOT_COMPILED not in log
    (line,) = [line for line in log.splitlines() if "compiled without all docstrings" in line]
    assert "no place for" in line
    wheel = only((tmp_path / "out").glob("*.whl"))
    assert wheel.name.endswith("-linux_other.whl")
    assert [name for name in names(wheel) if name.endswith(".so")]


def test_the_sdist_has_what_a_build_and_its_tests_need_but_nothing_that_was_built(sdist):
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert (
        sources()
        | {
            "setup.py",
            "setup_docstrings.py",
            "setup_macros.h",
            "pyproject.toml",
            "README.md",
            "CHANGELOG.md",
            "LICENSE",
            "app/cli.py",
            "container.py",
            "docs/index.md",
            "docs/examples/script.py",
            "tests/conftest.py",
            "tests/test_build.py",
        }
        <= inside
    )
    assert not [name for name in inside if name.startswith("build/") or "/." in name]
    built = [name for name in inside if name.endswith((".so", ".pyd", ".c", ".h"))]
    assert built == ["setup_macros.h"]


def test_without_a_c_compiler_the_source_in_an_sdist_is_installed_and_one_line_says_so(
    sdist, fake_mypyc, tools, tmp_path
):
    nothing = tmp_path / "bin"
    nothing.mkdir()
    # pip prints the lines of all steps of a build, as for users with -v.
    wheel = ("wheel", "-v", "--no-deps", "--no-build-isolation", "-w", tmp_path / "out", sdist)
    environ = {"PYTHONPATH": fake_mypyc, "PATH": nothing, "CC": nothing / "cc"}
    wheel, reasons = result_of(pip(tools, *wheel, **environ), tmp_path)
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert reason.startswith(NOT_COMPILED + "the C compiler failed (")
    assert str(nothing / "cc") in reason
    assert len(reason) < 300


def test_a_compiler_that_fails_half_way_leaves_nothing_compiled_behind(
    fake_mypyc, fake_compiler, tools, tmp_path
):
    source = checkout(tmp_path)
    environ = {"PYTHONPATH": fake_mypyc, "CC": fake_compiler, "FAILS": "no space left"}
    wheel, reasons = wheel_of(tools, source, tmp_path, **environ)
    assert fake_compiler.with_suffix(".calls").read_text().count("\n") == 10
    assert_interpreted(tools, wheel, tmp_path)
    failed = "the C compiler failed (/usr/bin/ld: final link failed: no space left)"
    assert reasons == [NOT_COMPILED + failed]
    assert not [*source.rglob("*.so")]


def test_compiled_modules_that_do_not_load_are_left_out_and_so_are_those_of_earlier_builds(
    fake_mypyc, fake_compiler, tools, tmp_path
):
    source = checkout(tmp_path)
    place = f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    earlier = source / "build" / place / "metrics" / f"old{EXTENSION_SUFFIXES[0]}"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    environ = {"PYTHONPATH": fake_mypyc, "CC": fake_compiler}
    wheel, reasons = wheel_of(tools, source, tmp_path, **environ)
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert reason.startswith(NOT_COMPILED + "loading the compiled modules failed (ImportError: ")


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


def test_a_build_that_must_compile_fails_where_it_cannot(tools, tmp_path):
    (tmp_path / "mypyc.py").write_text("raise ImportError('hidden')")
    environ = {"PYTHONPATH": tmp_path, "WIRED_METRICS_PURE": 0}
    with pytest.raises(AssertionError) as failure:
        run(tools, "setup.py", "bdist_wheel", cwd=checkout(tmp_path), **environ)
    reason = "not compiled, as WIRED_METRICS_PURE=0 requires: mypyc is not there (hidden);"
    assert reason in str(failure.value)


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
    prefix = ("--prefix", tmp_path / "prefix")
    pip(tools, "install", "--no-deps", "--no-build-isolation", *prefix, "-e", source)
    assert not [path for kind in ("*.so", "*.pyd", "*.c") for path in source.rglob(kind)]

    with (source / "metrics" / "__init__.py").open("a") as module:
        module.write("\nEDITED = True\n")
    site = only((tmp_path / "prefix").rglob("site-packages"))
    code = f"import site; site.addsitedir({str(site)!r}); import metrics; "
    seen = run(tools, "-c", code + "print(metrics.COMPILED, metrics.EDITED)", cwd=tmp_path)
    assert seen.split() == ["False", "True"]
