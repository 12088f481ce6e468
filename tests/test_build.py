"""The library as it is built: compiled where that is possible, whole and interpreted elsewhere.

Everything is built from a copy of the checkout, in an environment that has what `pyproject.toml`
asks for and nothing else. Each build is made once, also when several workers run the tests.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest

fcntl = pytest.importorskip("fcntl", reason="builds are proved on POSIX only")

ROOT = Path(__file__).parents[1]
COMPILER = shutil.which(os.environ.get("CC", "cc"))

pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.py").exists(), reason="tests an installed library, which is built already"
)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")

NOT_COMPILED = "wired-metrics: not compiled, runs interpreted: "
FOREIGN = ("__pycache__", ".*", "*.egg-info", "*.so", "*.pyd", "build", "dist")

FAILS_HALF_WAY = """\
#!/bin/sh
echo called >>"$0.calls"
if [ "$(wc -l <"$0.calls")" -gt 9 ]; then
    echo "no space left on device" >&2
    exit 1
fi
exec {compiler} "$@" -O0
"""

USE = """\
import json, sys, metrics
histogram = metrics.Histogram(metrics.UniformReservoir())
histogram.update(2.0)
family = metrics.Family(metrics.Counter, ["status"])
family.labels(200).inc(3)
core = sorted({sys.modules[kind.__module__].__file__ for kind in vars(metrics).values()
               if getattr(kind, "__module__", "").startswith("metrics.instruments.")
               and not getattr(kind, "_is_protocol", False)})
print(json.dumps({"compiled": metrics.COMPILED, "core": core,
                  "count": family.labels("200").count, "max": histogram.snapshot().max}))
"""

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
        run(tools, "-m", "build", "--no-isolation", "-o", folder / "out", source)

    return once("distributions", fill) / "out"


@pytest.fixture(scope="session")
def compiled(distributions: Path) -> Path:
    return only(distributions.glob("*.whl"))


def run(*command: object, cwd: Path | None = None, **environ: object) -> str:
    """Run a command and return all it wrote; fail with that if it fails."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"CC", "CFLAGS", "PYTHONPATH", "WIRED_METRICS_PURE"}
    }
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**inherited, **{name: str(value) for name, value in environ.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def only(paths: Iterable[Path]) -> Path:
    (path,) = paths
    return path


def checkout(folder: Path) -> Path:
    """Return a copy of the checkout, without what is not under version control."""
    return Path(shutil.copytree(ROOT, folder / "checkout", ignore=shutil.ignore_patterns(*FOREIGN)))


def wheel_of(tools: Path, source: Path, **environ: object) -> tuple[Path, list[str]]:
    """Build a wheel; return it, and why it is not compiled: each line that says so."""
    out = source.parent / "out"
    pip = (tools, "-m", "pip", "wheel", "-v", "--no-deps", "--no-build-isolation")
    log = run(*pip, "-w", out, source, **environ)
    reasons = [line.strip() for line in log.splitlines() if NOT_COMPILED in line]
    return only(out.glob("*.whl")), reasons


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def use(tools: Path, wheel: Path, folder: Path) -> dict:
    """Use the library that is in a wheel; return what was seen."""
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return json.loads(run(tools, "-c", USE, cwd=folder, PYTHONPATH=folder / "site"))


def sources() -> set[str]:
    """Return what belongs to the library in the checkout."""
    found = [*(ROOT / "metrics").rglob("*.py"), ROOT / "metrics" / "py.typed"]
    return {path.relative_to(ROOT).as_posix() for path in found}


def assert_interpreted(tools: Path, wheel: Path, folder: Path) -> None:
    """Check that a wheel has nothing compiled, is tagged for every platform, and works."""
    assert not [name for name in names(wheel) if name.endswith((".so", ".pyd", ".c", ".h"))]
    assert wheel.name.endswith("-py3-none-any.whl")
    assert sources() <= names(wheel)
    seen = use(tools, wheel, folder)
    assert (seen["compiled"], seen["count"], seen["max"]) == (False, 3, 2.0)
    assert all(path.endswith(".py") for path in seen["core"])


@needs_compiler
def test_with_a_c_compiler_every_instrument_is_compiled(compiled, tools, tmp_path):
    seen = use(tools, compiled, tmp_path)
    assert (seen["compiled"], seen["count"], seen["max"]) == (True, 3, 2.0)
    assert not [path for path in seen["core"] if path.endswith(".py")]
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


def test_the_sdist_has_what_a_build_needs_and_nothing_that_was_built(distributions):
    with tarfile.open(only(distributions.glob("*.tar.gz"))) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() | {"setup.py", "pyproject.toml", "README.md", "LICENSE"} <= inside
    assert not [name for name in inside if name.endswith((".so", ".pyd", ".c", ".h"))]


def test_without_a_c_compiler_the_source_is_installed_and_one_line_says_so(tools, tmp_path):
    nothing = tmp_path / "bin"
    nothing.mkdir()
    wheel, reasons = wheel_of(tools, checkout(tmp_path), PATH=nothing, CC=nothing / "cc")
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert "the C compiler failed" in reason


@needs_compiler
def test_a_compiler_that_fails_half_way_leaves_nothing_compiled_behind(tools, tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text(FAILS_HALF_WAY.format(compiler=COMPILER))
    compiler.chmod(0o755)
    source = checkout(tmp_path)
    wheel, reasons = wheel_of(tools, source, CC=compiler)
    assert (tmp_path / "cc.calls").read_text().count("called") == 10
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert "the C compiler failed" in reason
    assert not [*source.rglob("*.so")]


def test_the_environment_can_ask_for_the_source(tools, tmp_path):
    wheel, reasons = wheel_of(tools, checkout(tmp_path), WIRED_METRICS_PURE=1)
    assert_interpreted(tools, wheel, tmp_path)
    assert reasons == [NOT_COMPILED + "WIRED_METRICS_PURE is set"]


def test_without_mypyc_the_source_is_installed_and_one_line_says_so(tools, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "mypyc.py").write_text("raise ImportError('mypyc is hidden')\n")
    wheel, reasons = wheel_of(tools, checkout(tmp_path), PYTHONPATH=hidden)
    assert_interpreted(tools, wheel, tmp_path)
    assert reasons == [NOT_COMPILED + "mypyc is not there (mypyc is hidden)"]


def test_source_that_mypyc_refuses_is_installed_as_it_is_and_one_line_says_so(tools, tmp_path):
    source = checkout(tmp_path)
    with (source / "metrics" / "instruments" / "counter.py").open("a") as module:
        module.write('\nWRONG: int = "text"\n')
    wheel, reasons = wheel_of(tools, source)
    assert_interpreted(tools, wheel, tmp_path)
    (reason,) = reasons
    assert "mypyc failed" in reason


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
