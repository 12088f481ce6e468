"""Exposition endpoints: their URLs, and reads that are bounded in time, size and redirects."""

import os
from typing import NamedTuple

import aiohttp
from yarl import URL

from app.text import printable

OPENMETRICS = "application/openmetrics-text"
TEXT_TYPES = ("text/plain", "application/octet-stream")
"""Types of Prometheus' text format; the second one is that of a page without a type."""

HEADERS = {
    "Accept": f"{OPENMETRICS};version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "Accept-Encoding": "identity",
    "User-Agent": "wired-metrics",
}

MOST_SECONDS = 10.0
"""Limit of a whole read; the default timeout of Prometheus' scrapes."""

MOST_BYTES = 16 * 2**20
"""Limit of a body: about 100,000 series."""

MOST_REDIRECTS = 5


class EndpointError(Exception):
    """Unreadable endpoint; the message is the cause in one printable line, without the URL."""


class ScrapedPage(NamedTuple):
    """Body of an exposition endpoint, and whether it is OpenMetrics or Prometheus' text format."""

    text: str
    openmetrics: bool = False


def page_url(text: str) -> str:
    """Return the URL of a page: `http://` and `/metrics` are added where they are missing.

    Raises:
        ValueError: the text is no URL of an HTTP server.
    """
    rule = "use a URL such as http://127.0.0.1:9464/metrics"
    try:
        url = URL(text if "://" in text else f"http://{text}")
        usable = url.scheme in {"http", "https"} and url.host and url.port
    except ValueError as error:
        raise ValueError(f"invalid URL {text!r}: {error}; {rule}") from error
    if not usable:
        raise ValueError(f"invalid URL {text!r}: {rule}")
    return str(url.with_path("/metrics", keep_query=True) if url.path in {"", "/"} else url)


def displayed_url(url: str) -> str:
    """Return a URL as people may see it: without the name and password that it may contain."""
    return printable(str(URL(url).with_user(None)))


async def read(url: str) -> ScrapedPage:
    """Return the page of an endpoint. Proxies that the environment names are not used.

    Raises:
        EndpointError: there is no answer in time, or not of status 200, or not in a text format, or
            it has more than `MOST_BYTES`.
    """
    try:
        async with (
            # A connection of its own for each read, so that none is left between two of them.
            aiohttp.ClientSession(
                headers=HEADERS, timeout=aiohttp.ClientTimeout(total=MOST_SECONDS)
            ) as session,
            session.get(url, max_redirects=MOST_REDIRECTS) as answer,
        ):
            return await page_of(answer)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise EndpointError(cause_of(error)) from error


async def page_of(answer: aiohttp.ClientResponse) -> ScrapedPage:
    """Return the page in an answer.

    Raises:
        ValueError: the answer has another status, type or size.
    """
    if answer.status != 200:  # noqa: PLR2004 - the status is known by its number
        raise ValueError(f"the server answers {answer.status} {answer.reason}")
    if answer.content_type not in {OPENMETRICS, *TEXT_TYPES}:
        raise ValueError(f"{answer.content_type} is no exposition format")
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ValueError(f"the page has more than {MOST_BYTES >> 20} MiB")
    return ScrapedPage(body.decode(errors="replace"), answer.content_type == OPENMETRICS)


def cause_of(error: Exception) -> str:
    """Return the cause of a failed read in one printable line, in an operator's terms."""
    if isinstance(error, TimeoutError):
        return f"no complete answer within {MOST_SECONDS:g} s"
    if isinstance(error, aiohttp.TooManyRedirects):
        return f"more than {MOST_REDIRECTS} redirects"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        # Of several addresses, each has an error; a failed resolution has a negative number.
        known = os.strerror(number) if number > 0 else error.os_error.strerror
        return printable(known or str(error.os_error))
    if isinstance(error, aiohttp.ClientResponseError):
        return "the server does not answer in HTTP"
    return printable(" ".join(str(error).split())) or type(error).__name__
