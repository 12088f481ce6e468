"""Credentials, and their redaction in texts that are logged."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from html import escape
from typing import NamedTuple, final
from urllib.parse import quote, quote_plus

SHOWN = 200
"""Characters of a text that are shown."""

GAP = r"[\s\x00-\x1f\x7f]*"
"""Pattern of the characters within a secret that a server has broken into lines."""


class Credentials(NamedTuple):
    """Headers of an authentication, and the texts in them that no log may show."""

    headers: dict[str, str]
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return "<Credentials>"


NO_CREDENTIALS = Credentials({}, ())


def authorization(scheme: str, token: str) -> Credentials:
    """Return the header of an authentication with a token, whose form the server knows."""
    return Credentials({"Authorization": f"{scheme} {token}"}, (token,))


def basic(username: str | None, password: str | None) -> Credentials:
    """Return the header of basic authentication in UTF-8 (RFC 7617); none without a user name.

    Raises:
        TypeError: one of the two is not a str.
        ValueError: one of the two is missing or malformed. The message does not repeat it.
    """
    if not username and not password:
        return NO_CREDENTIALS
    user, secret = require("username", username), require("password", password)
    if ":" in user:
        raise ValueError(
            "invalid username with a colon: basic authentication cannot send it; use another user"
        )
    encoded = encode_basic(user, secret)
    return Credentials({"Authorization": f"Basic {encoded}"}, (secret, encoded))


def encode_basic(user: str, password: str) -> str:
    """Return a user name and a password as the header of basic authentication has them."""
    return b64encode(f"{user}:{password}".encode()).decode()


def require(option: str, value: str | None) -> str:
    """Return the value of a required option.

    Raises:
        TypeError: `value` is not a str.
        ValueError: `value` is missing, empty or not printable. The message does not repeat it,
            because it may be a secret.
    """
    if value is None or value == "":
        raise ValueError(f"option {option!r} is required")
    if not isinstance(value, str):
        raise TypeError(f"invalid {option} of type {type(value).__name__}: use a str")
    if not value.isprintable():
        raise ValueError(
            f"invalid {option} with a line break or another control character: use printable text"
        )
    return value


def require_ascii(option: str, value: str | None) -> str:
    """Return the value of a required option that HTTP sends as a header; raise as `require`."""
    text = require(option, value)
    if not text.isascii():
        raise ValueError(
            f"invalid {option} with a character outside ASCII: HTTP cannot send it; use ASCII text"
        )
    return text


@final
class Redaction:
    """Replacement of secrets by `***`, in every form in which a server may repeat them.

    The forms are the secret itself, quoted for URLs, HTML or JSON, in base64, in other case, and
    broken into lines.

    Args:
        secrets: the secrets; empty ones are left out.
    """

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {spelling for secret in secrets if secret for spelling in spellings(secret)}
        # The longest first, because a secret may contain another.
        patterns = [GAP.join(map(re.escape, each)) for each in sorted(found, key=len)[::-1]]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def shown(self, text: str, *, cut: bool = False) -> str:
        """Return a foreign text as one short, printable line without secrets.

        Args:
            text: the text, such as the answer of a server.
            cut: whether the text was cut off, perhaps within a secret; only its first half is
                shown then.
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
    """Return the forms in which a server may repeat a secret."""
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
