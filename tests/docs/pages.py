"""Pages of the documentation, and the code in them.

A page is a program: its Python blocks run one after another, in one namespace. Comments of HTML,
which no reader sees, say what a block cannot:

- `<!-- python`, code, and `-->`: code that runs between two blocks, such as a stand-in or an
  assertion
- `<!-- new program -->`: the next block begins a program of its own
- `<!-- tested by test_name -->`: the next block is run by a test of this name, in this folder
- `<!-- not run: reason -->`: the next block is compiled only
- `<!-- generated: name -->` to `<!-- end -->`: text that `python -m tests.docs.generated` writes
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

DOCS = ROOT / "docs"

README = ROOT / "README.md"

PAGES = [
    README,
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md") if (ROOT / name).exists()),
    *sorted(DOCS.rglob("*.md")),
]

FENCE = re.compile(
    r"^(?P<hidden><!-- python)\n(?P<comment>.*?)^-->$"
    r"|^<!-- (?P<directive>new program|tested by \w+|not run: [^\n]+) -->$"
    r"|^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)

REGION = re.compile(r"<!-- generated: ([^\n]+) -->\n(.*?)<!-- end -->", re.DOTALL)


class Block(NamedTuple):
    """Code or text of a page, with the line of the page that it begins in."""

    language: str
    text: str
    line: int
    directive: str = ""
    hidden: bool = False

    @property
    def tested_by(self) -> str:
        """The name of the test that runs this block alone; empty if its page runs it."""
        return self.directive.removeprefix("tested by ") if self.is_tested else ""

    @property
    def is_tested(self) -> bool:
        return self.directive.startswith("tested by ")

    @property
    def is_run(self) -> bool:
        return self.language == "python" and not self.directive.startswith(("tested", "not run"))


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order; a directive is that of the block below it."""
    source = page.read_text()
    directive = ""
    for found in FENCE.finditer(source):
        line = source.count("\n", 0, found.start()) + 2
        if found["directive"]:
            directive = found["directive"]
        elif found["hidden"]:
            yield Block("python", found["comment"], line, directive, hidden=True)
            directive = ""
        else:
            text = re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
            yield Block(found["language"], text, line, directive)
            directive = ""


def programs_of(page: Path) -> list[list[Block]]:
    """Return the programs of a page: their Python blocks, and the text that these print."""
    programs: list[list[Block]] = [[]]
    for block in blocks_of(page):
        if block.directive == "new program":
            programs.append([])
        if block.is_run or block.language == "text":
            programs[-1].append(block)
    return [program for program in programs if any(block.is_run for block in program)]


def block_with(page: Path, text: str) -> str:
    """Return the one visible Python block of a page that has a text."""
    [found] = [
        block.text
        for block in blocks_of(page)
        if block.language == "python" and not block.hidden and text in block.text
    ]
    return found


def run_block(page: Path, text: str, **names: object) -> dict[str, object]:
    """Run the block that has a text, with names that it uses; return the names afterwards."""
    namespace = {"__name__": "example", **names}
    exec(compile(block_with(page, text), page, "exec"), namespace)
    return namespace


def regions_of(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each generated region of a page."""
    for name, text in REGION.findall(page.read_text()):
        yield name, text.strip()


def name_of(page: Path) -> str:
    """Return the path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


def prose_of(page: Path) -> str:
    """Return the text of a page with code and comments blanked out; the lines stay."""
    code = r"^ *```.*?^ *```$|<!--.*?-->|`[^`\n]+`|\]\([^)]*\)"
    return re.sub(
        code,
        lambda found: "\n" * found[0].count("\n"),
        page.read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
