"""Builds the library from a copy of the checkout, and uses what was built."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import distributions
from pathlib import Path
from sysconfig import get_path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]

NOT_COMPILED = "wired-metrics: not compiled, runs interpreted: "
FOREIGN = ("__pycache__", ".*", "*.egg-info", "*.so", "*.pyd", "build", "dist")

HOOK = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"

USE = """\
import json, sys, metrics
histogram = metrics.Histogram(metrics.UniformReservoir())
histogram.update(2.0)
family = metrics.Family(metrics.Counter, ["status"])
family.labels(200).inc(3)
try:
    histogram.update(float("nan"))
except ValueError:
    family.labels(200).inc(4)
kinds = [getattr(metrics, name) for name in metrics.__all__]
core = sorted({sys.modules[kind.__module__].__file__ for kind in kinds
               if getattr(kind, "__module__", "").startswith("metrics.instruments.")
               and not getattr(kind, "_is_protocol", False)})
print(json.dumps({"compiled": metrics.COMPILED, "core": core,
                  "subnormal": 5e-324 * len(kinds[:1]) > 0,
                  "count": family.labels("200").count, "max": histogram.snapshot().max}))
"""


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


def pip(python: Path, *arguments: object, **environ: object) -> str:
    """Run pip for the environment of a Python, which need not have it; return all it wrote."""
    return run(sys.executable, "-m", "pip", "--python", python, *arguments, **environ)


def build_wheel(tools: Path, source: Path, folder: Path, **environ: object) -> str:
    """Build a wheel by the hook that pip calls, in a third of its time; return all it wrote."""
    return run(tools, "-Pc", HOOK, folder / "out", cwd=source, **environ)


def wheel_of(tools: Path, source: Path, folder: Path, **environ: object) -> tuple[Path, list[str]]:
    """Build a wheel; return it, and why it is not compiled: each line that says so."""
    return result_of(build_wheel(tools, source, folder, **environ), folder)


def result_of(log: str, folder: Path) -> tuple[Path, list[str]]:
    """Return the wheel that a build has left in a folder, and why it is not compiled."""
    reasons = [line.strip() for line in log.splitlines() if NOT_COMPILED in line]
    return only((folder / "out").glob("*.whl")), reasons


def pack_installed(folder: Path) -> bool:
    """Pack the installed library as a wheel, if it is compiled from the source in the checkout."""
    found = next(iter(distributions(name="wired-metrics", path=[get_path("platlib")])), None)
    if found is None:
        return False
    files = {file.as_posix(): Path(file.locate()) for file in found.files or ()}
    is_compiled = any(name.endswith(EXTENSION_SUFFIXES[0]) for name in files)
    is_ours = all(read(files.get(name)) == (ROOT / name).read_bytes() for name in sources())
    if not (is_compiled and is_ours):
        return False
    tag = re.findall(r"^Tag: (.+)$", found.read_text("WHEEL") or "", re.MULTILINE)[-1]
    folder.mkdir()
    with ZipFile(folder / f"wired_metrics-{found.version}-{tag}.whl", "w") as wheel:
        for name, path in files.items():
            if "__pycache__" not in name:
                wheel.write(path, name)
    return True


def read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None and path.exists() else None


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
    found = [
        *(ROOT / "metrics").rglob("*.py"),
        ROOT / "metrics" / "py.typed",
        *(ROOT / "metrics/integrations/_dashboard/static").iterdir(),
        ROOT / "pytest_wired_metrics.py",
    ]
    return {path.relative_to(ROOT).as_posix() for path in found}


def assert_interpreted(tools: Path, wheel: Path, folder: Path) -> None:
    """Check that a wheel has nothing compiled, is tagged for every platform, and works."""
    assert not [name for name in names(wheel) if name.endswith((".so", ".pyd", ".c", ".h"))]
    assert wheel.name.endswith("-py3-none-any.whl")
    assert sources() <= names(wheel)
    seen = use(tools, wheel, folder)
    assert (seen["compiled"], seen["count"], seen["max"]) == (False, 7, 2.0)
    assert all(path.endswith(".py") for path in seen["core"])
