"""Credentials, and their redaction in texts that are shown."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from html import escape
from typing import NamedTuple, final
from urllib.parse import quote, quote_plus


class Credentials(NamedTuple):
    """A header, and what of it no error may show."""

    headers: dict[str, str]
    secrets: tuple[str, ...]


def basic(username: str | None, password: str | None) -> Credentials:
    """Return the header of basic authentication in UTF-8 (RFC 7617); none without a user name.

    Raises:
        TypeError: one of the two is not a str.
        ValueError: there is only one of the two, or one holds what this cannot send. The message
            does not repeat it.
    """
    if not username and not password:
        return Credentials({}, ())
    user, secret = given("username", username), given("password", password)
    if ":" in user:
        raise ValueError("username holds a colon, which basic authentication cannot send")
    encoded = b64encode(f"{user}:{secret}".encode()).decode()
    return Credentials({"Authorization": f"Basic {encoded}"}, (secret, encoded))


def given(what: str, value: str | None) -> str:
    """Return an option that has to be there.

    Raises:
        TypeError: it is not a str.
        ValueError: it is missing, empty, or holds what cannot be printed. The message does not
            repeat it: it may be a secret.
    """
    if value is None or value == "":
        raise ValueError(f"option {what!r} is required")
    if not isinstance(value, str):
        raise TypeError(f"{what} takes a str, got one of type {type(value).__name__}")
    if not value.isprintable():
        raise ValueError(f"{what} holds a line break or another character that cannot be printed")
    return value


def given_in_ascii(what: str, value: str | None) -> str:
    """Return an option that has to be there, and to fit into a header of HTTP; else as `given`."""
    text = given(what, value)
    if not text.isascii():
        raise ValueError(f"{what} holds characters that are not ASCII")
    return text


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
