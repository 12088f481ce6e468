"""Options that have to be there and may be secret, so that no error repeats them."""

from base64 import b64encode
from typing import NamedTuple


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
        raise ValueError(f"{what} is missing; give it to the reporter")
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
