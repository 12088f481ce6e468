"""Commands of shell blocks, checked against the programs, options and files that exist."""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.cli import command as agent_command
from tests.docs.pages import DOCS, ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

EXTRAS = {*PYPROJECT["project"]["optional-dependencies"]}


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell block, without its variables."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for part in re.split(r" (?:&&|\|) ", line):
            words = shlex.split(part, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                del words[0]
            if words:
                yield words


def check_command(words: Sequence[str]) -> None:
    """Check a command.

    Raises:
        AssertionError: its program, module, option or file does not exist.
    """
    program = Path(words[0]).name
    if words[0].startswith(".ci/"):
        assert (ROOT / words[0]).is_file(), words
    elif program in CHECKS:
        CHECKS[program](list(words[1:]))
    else:
        raise AssertionError(f"no check of the program {program!r} in tests/docs/shell.py")


def check_python(arguments: list[str]) -> None:
    match arguments:
        case ["-m", "venv", _]:
            return
        case ["-m", "app", *options]:
            check_agent(options)
        case ["-m", "pytest", *options]:
            check_pytest(options)
        case ["-m", ("tests.benchmarks" | "benchmarks"), *options]:
            source = (ROOT / "tests/benchmarks/__main__.py").read_text()
            for option in options:
                if option.startswith("-"):
                    assert f'"{option}"' in source, option
        case ["-m", module, *_]:
            name = module.replace(".", "/")
            assert (ROOT / f"{name}.py").is_file() or (ROOT / name).is_dir(), module
        case [file, *_]:
            assert file.startswith("-c") or (DOCS / "examples" / file).is_file(), file


def check_agent(options: list[str]) -> None:
    agent = agent_command()
    shown = agent.commands.get(options[0]) if options else None
    known = {
        name
        for parameter in (shown or agent).params
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}
    for option in options:
        if option.startswith("-"):
            assert option.partition("=")[0] in known, option


def check_pip(arguments: list[str]) -> None:
    assert arguments[0] in {"install", "wheel"}, arguments
    for argument in arguments[1:]:
        found = re.fullmatch(r"(?:wired-metrics|\.)(?:\[(.+)\])?", argument)
        if found and found[1]:
            assert set(found[1].split(",")) <= EXTRAS, argument


def check_pytest(options: list[str]) -> None:
    plugin = (ROOT / "metrics/testing/plugin.py").read_text()
    for option in options:
        name = option.partition("=")[0]
        if name.startswith("--leakcheck"):
            assert f'"{name}"' in plugin, option


def check_server(arguments: list[str]) -> None:
    """Check that the application of a server's command is an example."""
    modules = [word for word in arguments if re.match(r"\w+:\w+", word)]
    for module in modules:
        file, _, name = module.partition(":")
        example = DOCS / "examples" / f"{file}.py"
        assert example.is_file(), module
        assert name.partition("(")[0] in example.read_text(), module


def check_celery(arguments: list[str]) -> None:
    assert (DOCS / "examples" / f"{arguments[arguments.index('-A') + 1]}.py").is_file(), arguments


def check_script(arguments: list[str]) -> None:
    """Accept the arguments of a program that the test environment has."""


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "python": check_python,
    "python3": check_python,
    "pip": check_pip,
    "pytest": check_pytest,
    "uvicorn": check_server,
    "gunicorn": check_server,
    "celery": check_celery,
    "cd": lambda arguments: check_folder(arguments[0]),
    "curl": check_script,
    "git": check_script,
    "mkdocs": check_script,
    "mypy": check_script,
    "lint-imports": check_script,
    "ruff": check_script,
    "promtool": check_script,
    "tox": check_script,
}


def check_folder(folder: str) -> None:
    assert (ROOT / folder).is_dir() or folder == "wired-metrics", folder
