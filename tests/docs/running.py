"""Run of one program of a page: `python -m tests.docs.running docs/index.md 0`.

Functions named `test_...` in the program are called by pytest afterwards, which finds them in a
module that a test has written.
"""

import io
import sys
from contextlib import redirect_stdout

from tests.docs.pages import ROOT, Block, programs_of

FRAMEWORKS = {"fastapi": "fastapi", "werkzeug": "flask", "fast_depends": "fastapi"}
"""Modules of frameworks, and the names of these on pages."""


def run(page: str, number: int, names: dict[str, object]) -> None:
    """Run a program of a page in a namespace; check each text block below a block that prints.

    Raises:
        AssertionError: a block has printed another text.
    """
    path = ROOT / page
    program = programs_of(path)[number]
    followers: list[Block | None] = [*program[1:], None]
    for block, follower in zip(program, followers, strict=True):
        if block.language != "python":
            continue
        # A traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, path, "exec")
        with redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        output = printed.getvalue().strip()
        if output and follower is not None and follower.language == "text":
            assert output == follower.text.strip(), f"{page}:{block.line} printed\n{output}"


def hide_frameworks(page: str) -> None:
    """Hide the frameworks that a page does not name.

    dependency-injector imports those that it finds, which takes longer than most pages.
    """
    text = (ROOT / page).read_text().lower()
    hidden = [module for module, name in FRAMEWORKS.items() if name not in text]
    sys.modules.update(dict.fromkeys(hidden))


if __name__ == "__main__":
    hide_frameworks(sys.argv[1])
    run(sys.argv[1], int(sys.argv[2]), globals())
