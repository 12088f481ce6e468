"""What may be shown of a text from outside: one short line, and no secret in it."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from html import escape
from typing import final
from urllib.parse import quote, quote_plus

SHOWN = 200
"""Characters of a text that are shown."""

BETWEEN = r"[\s\x00-\x1f\x7f]*"
"""What may stand within a secret that a server has broken into lines."""


@final
class Redaction:
    """Replaces secrets by `***`, as they are and as servers write what they were sent.

    That is quoted for URLs, HTML or JSON, in base64, in other case, or broken into lines.

    Args:
        secrets: what is not to be shown; empty ones are left out.
    """

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {spelling for secret in secrets if secret for spelling in spellings(secret)}
        # The longest first: one may be part of another.
        patterns = [
            BETWEEN.join(map(re.escape, spelling)) for spelling in sorted(found, key=len)[::-1]
        ]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def shown(self, text: str, *, cut: bool = False) -> str:
        """Return what may be shown of a text.

        Args:
            text: comes from outside.
            cut: whether it ends where it was cut off, perhaps within a secret.
        """
        if self._pattern is not None:
            text = self._pattern.sub("***", text)
        if cut:
            text = text[: len(text) // 2]
        line = "".join([c if c.isprintable() else "?" for c in " ".join(text.split())])
        return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."

    def __repr__(self) -> str:
        return "<Redaction>"


def spellings(secret: str) -> set[str]:
    """Return how a text may look when a server repeats it."""
    encoded = secret.encode(errors="surrogatepass")
    return {
        secret,
        quote(encoded),
        quote(encoded, safe=""),
        quote_plus(encoded),
        escape(secret),
        escape(secret, quote=False),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        b64encode(encoded).decode().rstrip("="),
        urlsafe_b64encode(encoded).decode().rstrip("="),
    }
