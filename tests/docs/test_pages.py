"""Every block of code in README and in docs/ works as it stands there."""

import ast
import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

import metrics
import metrics.options
import metrics.resources
from metrics import Registry, exporters, integrations, reporters
from tests.docs.generated import expected_text
from tests.docs.pages import (
    PAGES,
    ROOT,
    Block,
    blocks_of,
    name_of,
    programs_of,
    prose_of,
    regions_of,
)
from tests.docs.presence import present
from tests.docs.shell import check_command, commands_of
from tests.test_style import BANNED

pytestmark = present

MOST_UNRUN = 3
"""Blocks of all pages that are compiled only."""

TEST_CLIENT = "ignore:Using `httpx` with `starlette.testclient` is deprecated"
"""A warning of the newest Starlette, whose test client prefers another package."""

LANGUAGES = {"console", "ini", "python", "sh", "text", "toml", "yaml"}

PROGRAMS = [
    pytest.param(page, number, program, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, program in enumerate(programs_of(page))
]

MULTILINE = re.DOTALL | re.MULTILINE

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def has_tests(program: list[Block]) -> bool:
    return any("def test_" in block.text for block in program if block.language == "python")


@pytest.mark.slow(reason="starts a program for each page")
@pytest.mark.parametrize(("page", "number", "program"), PROGRAMS)
def test_a_program_of_a_page_runs(
    page: Path, number: int, program: list[Block], tmp_path: Path
) -> None:
    path = name_of(page)
    search = [str(ROOT), str(tmp_path), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))}
    if has_tests(program):
        (tmp_path / "test_page.py").write_text(
            f"from tests.docs.running import run\n\nrun({path!r}, {number}, globals())\n"
        )
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        # The entry points of all that is installed take longer to load than a page to run.
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_wired_metrics"]
    else:
        arguments = ["-m", "tests.docs.running", path, str(number)]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-W", TEST_CLIENT, *arguments],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not ended.returncode, ended.stdout + ended.stderr


@each_page
def test_every_block_has_a_known_language_and_python_compiles(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{name_of(page)}:{block.line}"
        if block.language == "python":
            compile(
                "\n" * (block.line - 1) + block.text, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )


def test_blocks_that_no_page_runs_are_few_or_have_their_own_test() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page)]
    assert sum(block.directive.startswith("not run") for block in blocks) <= MOST_UNRUN
    sources = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    for name in {block.tested_by for block in blocks if block.is_tested}:
        assert f"def {name}(" in sources, name


@each_page
def test_the_commands_of_a_page_exist(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "sh":
            for command in commands_of(block.text):
                check_command(command)


@each_page
def test_the_generated_text_of_a_page_is_up_to_date(page: Path) -> None:
    for name, text in regions_of(page):
        assert text == expected_text(name), f"run `python -m tests.docs.generated`: {name}"


def headings_of(page: Path) -> set[str]:
    """Return the anchors of a page, as code hosts and MkDocs make them of headings."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", title).strip().lower() for title in titles]
    return {title.replace(" ", "-") for title in words}


@each_page
def test_the_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=MULTILINE)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in headings_of(target), f"{name_of(page)}: {link}"


@each_page
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    names = re.findall(r"`((?:metrics|tests|docs|\.ci|\.github)/[\w./]+)`", page.read_text())
    for name in names:
        assert (ROOT / name).exists(), f"{name_of(page)}: {name}"


SUBJECTS: dict[str, Any] = {
    "registry": Registry(),
    "metrics": metrics,
    "metrics.options": metrics.options,
    "resources": metrics.resources,
    "providers": providers,
    "EWMA": metrics.EWMA,
    "timer": metrics.Timer(),
    "counter": metrics.Counter(),
    "gauge": metrics.Gauge(),
    **{
        module.name.rpartition(".")[2]: import_module(module.name)
        for package in (reporters, exporters, integrations)
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        if "._" not in module.name
    },
}
"""Names before a dot in the code of prose, and the objects that they stand for."""

OTHERS = {
    "asgi.py",
    "counter.labels",
    "gauge.set_function",
    "grpc.aio",
    "http.client",
    "http.request",
    "http.response",
    "http.route",
    "metrics.py",
}
"""Names with dots that are none of the library: files, labels, and other libraries'."""


@each_page
def test_the_names_of_the_library_that_a_page_mentions_exist(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$|<!--.*?-->", blank, page.read_text(), flags=MULTILINE)
    for code in re.findall(r"`([^`\n]+)`", text):
        for subject, name in re.findall(r"(?<![\w.\"'/])([A-Za-z_]+)\.([a-z]\w*)", code):
            if subject in SUBJECTS and f"{subject}.{name}" not in OTHERS:
                assert mentions(subject, name), f"{name_of(page)}: {code}"


def mentions(subject: str, name: str) -> bool:
    """Return whether the library has a name; several modules share some names, such as `otlp`."""
    modules = (metrics, reporters, exporters, integrations)
    candidates = [SUBJECTS[subject], *(getattr(each, subject, None) for each in modules)]
    return any(hasattr(each, name) for each in candidates)


@each_page
def test_a_page_uses_the_terms_of_the_project(page: Path) -> None:
    prose = prose_of(page)
    for words, remedy in BANNED.items():
        for found in re.finditer(rf"\b(?:{words})\b", prose, re.IGNORECASE):
            line = prose.count("\n", 0, found.start()) + 1
            pytest.fail(f"{name_of(page)}:{line}: {found[0]!r}: {remedy}")


@each_page
def test_lines_of_prose_are_at_most_100_characters_long(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$|<!--.*?-->", blank, page.read_text(), flags=MULTILINE)
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= 100 or line.startswith(("|", "#")), f"{name_of(page)}:{number}"


def blank(found: re.Match[str]) -> str:
    """Return as many empty lines as were found."""
    return "\n" * found[0].count("\n")
