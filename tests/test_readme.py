"""What the README shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest
from dependency_injector.wiring import Closing, Provide, inject

import metrics.testing
from metrics.lifecycle import (
    LifecycleContainer,
    Resource,
    State,
    graph,
    running,
    state,
    survives_fork,
)
from tests.forks import in_child

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
README = Path(__file__).parents[1] / "README.md"


def block_with(text: str) -> str:
    [found] = [block for block in BLOCK.findall(README.read_text()) if text in block]
    return found


def run_block(text: str, **names: object) -> dict[str, object]:
    """Run the block that has a text, with names that it uses; return the names afterwards."""
    namespace = {"__name__": "example", **names}
    exec(compile(block_with(text), README, "exec"), namespace)
    return namespace


def comments_in(block: str) -> str:
    return "".join(f"{line[2:]}\n" for line in block.splitlines() if line.startswith("# "))


def test_the_example_of_a_program_runs(capsys):
    run_block("# starts ticker, registry, requests")
    assert "{'rpc/requests': {'count': 1, '1m.rate': 0.0" in capsys.readouterr().out


def test_the_example_of_a_test_is_that_of_the_test_kit():
    assert indent(block_with("def test_"), "    ") in metrics.testing.__doc__


def test_the_example_of_a_test_passes(pytester: pytest.Pytester):
    pytester.makepyfile(block_with("def test_"))
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=1)


def test_the_example_of_a_block_runs_and_stops_a_container():
    container = run_block("# starts ticker, registry, requests")["container"]
    seen: list[State] = []
    run_block(
        "serve_forever",
        running=running,
        container=container,
        serve_forever=lambda: seen.append(state(container)),
    )
    assert seen == [State.RUNNING]
    assert state(container) is State.STOPPED


def test_the_example_of_a_graph_prints_what_its_comments_show(capsys):
    container = run_block("# starts ticker, registry, requests")["container"]
    capsys.readouterr()
    with running(container):
        run_block("print(graph(container))", graph=graph, container=container)
    assert (
        capsys.readouterr().out.rstrip()
        == comments_in(block_with("print(graph(container))")).rstrip()
    )


def test_the_example_of_closing_has_a_new_session_for_each_call():
    calls: list[str] = []

    class Session:
        def execute(self, statement: str) -> None:
            calls.append(statement)

    def sessions():
        calls.append("start")
        yield Session()
        calls.append("stop")

    class Container(LifecycleContainer):
        session = Resource(sessions)

    names = {"Closing": Closing, "Provide": Provide, "inject": inject}
    module = type(sys)("example")
    vars(module).update(run_block("Closing[", Session=Session, Container=Container, **names))
    container = Container()
    container.wire(modules=[module])
    try:
        with running(container):
            module.handle()
            module.handle()
            assert state(container) is State.RUNNING
        assert calls == 2 * ["start", "...", "stop"]
    finally:
        container.unwire()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_example_of_a_hook_that_survives_a_fork_is_empty_in_the_child():
    hook = run_block("survives_fork", survives_fork=survives_fork)["cache"]

    class Container(LifecycleContainer):
        cache = Resource(hook)

    container = Container()

    def child() -> tuple[State, State, bool, dict[str, str]]:
        before = state(container, "cache")
        return state(container), before, container.cache() is cache, cache

    with running(container):
        cache = container.cache()
        cache["name"] = "value"
        assert in_child(child) == (State.NEW, State.RUNNING, True, {})
        assert cache == {"name": "value"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_example_of_gunicorn_is_a_configuration_of_gunicorn(tmp_path: Path):
    (tmp_path / "program.py").write_text("container = None\napplication = print\n")
    (tmp_path / "gunicorn.conf.py").write_text(block_with("def post_fork"))
    command = [sys.executable, "-m", "gunicorn", "--print-config", "program:application"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    for hook in ("post_fork", "worker_exit"):
        assert re.search(rf"^{hook}\s+= <{hook}\(\)>", done.stdout, re.MULTILINE), hook
