"""An extra for each framework and destination, which has the packages that their modules import."""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from metrics import Registry
from metrics._extras import require_extra
from metrics.integrations import uvicorn
from metrics.reporters import influxdb, opentsdb, otlp, pushgateway, remote_write

ROOT = Path(__file__).parents[1]

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]

INSTALLATION = ROOT / "docs/index.md"

NAMELESS = {"asgi", "file", "http", "log", "processes", "wsgi"}
"""Modules of the library's own things and of protocols, which name no other software."""

IMPORT_LATER = {"uvicorn"}
"""Integrations that import their package at the start of their hook."""

DISTRIBUTIONS = {
    "asgiref": "django",
    "google": "opentelemetry-proto",
    "grpc": "grpcio",
    "opentelemetry.proto": "opentelemetry-proto",
    "opentelemetry": "opentelemetry-api",
}
"""Distributions of packages that have another name, or that another distribution requires."""

LOADED = {"flask"}
"""Distributions of a measured application, which has loaded them before."""

POSTING = "from metrics.reporters._push.posting import"
"""Import of the layer that reports over HTTP, with urllib3."""


def extra_of(module: Path) -> str:
    return module.name.removesuffix(".py").replace("_", "-")


def public_modules() -> list[Path]:
    """Return the files of all public modules; none where the installed library is tested."""
    return [
        path
        for package in ("integrations", "reporters")
        for path in sorted((ROOT / "metrics" / package).glob("[!_.]*"))
    ]


each_module = pytest.mark.parametrize("path", public_modules(), ids=lambda path: path.stem)


def requirements(extra: str) -> set[str]:
    """Return the names of the distributions of an extra, with the extras that it refers to."""
    found = set()
    for requirement in EXTRAS[extra]:
        if match := re.fullmatch(r"wired-metrics\[(.+)\]", requirement):
            found |= {name for other in match[1].split(",") for name in requirements(other)}
        else:
            found.add(re.split(r"[<>=;\[ ]", requirement, maxsplit=1)[0])
    return found


def imports_of(path: Path) -> set[str]:
    """Return the third-party packages that a module imports at run time, in functions as well."""
    found: set[str] = set()
    unchecked: list[ast.AST] = [ast.parse(path.read_text())]
    while unchecked:
        node = unchecked.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                unchecked += node.orelse
                continue
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                found.add(module)
        unchecked += ast.iter_child_nodes(node)
    return {name for name in found if root_of(name) not in sys.stdlib_module_names | {"metrics"}}


def root_of(name: str) -> str:
    return name.partition(".")[0]


def distribution_of(name: str) -> str:
    """Return the distribution that an extra requires for a package."""
    known = [each for each in DISTRIBUTIONS if f"{name}.".startswith(f"{each}.")]
    return DISTRIBUTIONS[known[0]] if known else root_of(name).replace("_", "-")


def requirements_of(path: Path) -> set[str]:
    """Return the distributions that a module and its private modules import."""
    files = [path, *path.with_name(f"_{path.stem}").glob("*.py")]
    if path.parent.name == "reporters":
        files += (ROOT / "metrics/exporters" / path.stem).glob("*.py")
    found = {distribution_of(name) for file in files for name in imports_of(file)}
    return found - LOADED | ({"urllib3"} if POSTING in path.read_text() else set())


@each_module
def test_a_module_has_the_extra_of_its_name_unless_it_names_no_other_software(path: Path):
    assert (extra_of(path) in EXTRAS) is (extra_of(path) not in NAMELESS)


@each_module
def test_the_packages_that_a_module_imports_are_its_extra(path: Path):
    extra = extra_of(path)
    assert requirements_of(path) == (set() if extra in NAMELESS else requirements(extra))


def test_a_reference_to_another_extra_is_one_that_exists():
    for requirement in (each for extra in EXTRAS.values() for each in extra):
        if match := re.fullmatch(r"wired-metrics\[(.+)\]", requirement):
            assert set(match[1].split(",")) <= EXTRAS.keys()


@pytest.mark.skipif(not INSTALLATION.exists(), reason="the documentation is not installed")
def test_the_documentation_describes_every_extra_once():
    text = INSTALLATION.read_text().partition("| Purpose | Extras |")[2].partition("\n\n")[0]
    rows = [row.rstrip("| ").rpartition("|")[2] for row in text.splitlines() if row]
    described = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(described) == sorted(EXTRAS)


IMPORTS = """
import importlib, json, sys
errors, hidden = {}, json.loads(sys.argv[1])
for module, packages in hidden.items():
    sys.modules.update(dict.fromkeys(packages))
    try:
        importlib.import_module(f"metrics.integrations.{module}")
    except ModuleNotFoundError as error:
        errors[module] = [str(error), error.name]
print(json.dumps(errors))
"""


@pytest.mark.skipif(not public_modules(), reason="the installed library is tested")
def test_the_import_of_an_integration_names_its_extra_when_a_package_is_missing():
    hidden = {
        path.stem: [*map(root_of, imports_of(path))]
        for path in public_modules()
        if path.parent.name == "integrations" and extra_of(path) not in NAMELESS | IMPORT_LATER
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, json.dumps(hidden)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    errors = json.loads(done.stdout)
    assert errors.keys() == hidden.keys()
    for module, (message, name) in errors.items():
        assert root_of(name) in hidden[module]
        extra = module.replace("_", "-")
        assert f", which the extra '{extra}' has: pip install 'wired-metrics[{extra}]'" in message


URL = "http://127.0.0.1:9"

HOOKS: list[tuple[str, str, Callable[[], AbstractContextManager[Any]]]] = [
    ("influxdb", "urllib3", lambda: influxdb.v1(Registry(), URL, "shop")),
    ("influxdb", "urllib3", lambda: influxdb.v2(Registry(), URL, "token", "org", "bucket")),
    ("opentsdb", "urllib3", lambda: opentsdb.http(Registry(), URL)),
    ("otlp", "urllib3", lambda: otlp.http(Registry(), URL)),
    ("pushgateway", "urllib3", lambda: pushgateway.http(Registry(), URL, "shop")),
    (
        "pushgateway",
        "urllib3",
        lambda: pushgateway.http(Registry(), URL, "shop", delete_at_end=True),
    ),
    ("remote-write", "urllib3", lambda: remote_write.http(Registry(), URL)),
    ("remote-write", "cramjam", lambda: remote_write.http(Registry(), URL)),
    ("serve", "uvicorn", lambda: uvicorn.serve(None, port=0)),
]


@pytest.mark.parametrize(
    ("extra", "package", "hook"), HOOKS, ids=[f"{name}-{package}" for name, package, _ in HOOKS]
)
def test_the_start_of_a_hook_names_its_extra_when_a_package_is_missing(
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    package: str,
    hook: Callable[[], AbstractContextManager[Any]],
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ModuleNotFoundError, match=rf"pip install 'wired-metrics\[{extra}\]'"
    ) as caught:
        hook().__enter__()
    assert caught.value.name == package


def test_an_older_version_without_a_name_is_an_import_error_that_names_the_extra():
    expected = pytest.raises(ImportError, match=r"^cannot import name 'gone' .*\[x\]'$")
    with expected as caught, require_extra("x"):
        from json import gone  # noqa: F401
    assert type(caught.value) is ImportError
    assert (caught.value.name, caught.value.path) == ("json", json.__file__)


def test_a_missing_module_of_the_library_is_no_missing_extra():
    expected = pytest.raises(ModuleNotFoundError, match=r"^No module named 'metrics\.gone'$")
    with expected, require_extra("x"):
        importlib.import_module("metrics.gone")


def test_other_errors_of_an_import_pass():
    with pytest.raises(ValueError, match=r"^broken$"), require_extra("x"):
        raise ValueError("broken")
