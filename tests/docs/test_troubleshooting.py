"""The messages that the page of troubleshooting explains are those of the code."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import DOCS, ROOT
from tests.docs.presence import present

pytestmark = present

PAGE = DOCS / "troubleshooting.md"

MESSAGES = re.findall(r"^### `(.+)`$", PAGE.read_text(), re.MULTILINE) if PAGE.exists() else []


def texts_of(tree: ast.AST) -> Iterator[str]:
    """Yield each text of the code, with `…` for its values."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=values):
                yield "".join(
                    str(value.value) if isinstance(value, ast.Constant) else "…" for value in values
                )
            case ast.Constant(value=str(text)):
                yield text


def comparable(text: str) -> str:
    """Return a text with one sign for each value, quoted or not, and without line breaks."""
    text = re.sub(r"%(?:\.\d+)?[a-z]|`[^`]*`", "…", text)
    return re.sub(r"…+", "…", text).replace("\n", "\\n")


def test_the_page_explains_messages():
    assert len(MESSAGES) == len(set(MESSAGES)) > 40


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str):
    assert comparable(message) in all_texts()


def all_texts() -> str:
    if not TEXTS:
        TEXTS.extend(
            comparable(text)
            for file in sorted((ROOT / "metrics").rglob("*.py"))
            for text in texts_of(ast.parse(file.read_text()))
        )
    return "\n".join(TEXTS)


TEXTS: list[str] = []
