"""User names and passwords, as a header of HTTP."""

from base64 import b64encode
from typing import NamedTuple

from metrics.reporters.endpoint import given


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
