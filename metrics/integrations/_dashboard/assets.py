"""Files of the live page: HTML, style sheets and scripts, as they are in the package."""

import gzip
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import quote

from metrics.integrations._serving.exposition import (
    Headers,
    PageRequest,
    PageResponse,
)
from metrics.integrations._serving.negotiation import accepts_gzip

INDEX = "index.html"

TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS: Headers = (
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
)


class Asset(NamedTuple):
    """File of the page, as it is and compressed.

    content_type: the value of the Content-Type header.
    body: the bytes.
    compressed: the bytes in gzip.
    tag: the value of the ETag header.
    """

    content_type: str
    body: bytes
    compressed: bytes
    tag: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files of the page by name, read once in a process."""
    found = {}
    for file in (files(__package__) / "static").iterdir():
        content_type = TYPES.get(file.name.rpartition(".")[2])
        if content_type is not None and file.is_file():
            found[file.name] = asset_of(content_type, file.read_bytes())
    return found


def asset_of(content_type: str, body: bytes) -> Asset:
    """Return a file with its compressed form and its tag."""
    # Weak, because the compressed form has the same one (RFC 9110, section 8.8.1).
    tag = f'W/"{sha256(body).hexdigest()[:20]}"'
    return Asset(content_type, body, gzip.compress(body, mtime=0), tag)


def asset_response(asset: Asset, request: PageRequest, vary: str = "") -> PageResponse:
    """Return the response with a file; 304 without it if the client has it already.

    Args:
        asset: the file.
        request: the request.
        vary: further request headers that the response depends on.
    """
    headers: Headers = (
        *HEADERS,
        ("ETag", asset.tag),
        ("Vary", f"{vary}, Accept-Encoding" if vary else "Accept-Encoding"),
    )
    known = [tag.strip() for tag in request.header("if-none-match").split(",")]
    if asset.tag in known or "*" in known:
        return PageResponse(304, headers, b"")
    headers += (("Content-Type", asset.content_type),)
    if accepts_gzip(request.header("accept-encoding")):
        return PageResponse(200, (*headers, ("Content-Encoding", "gzip")), asset.compressed)
    return PageResponse(200, headers, asset.body)


def index_response(title: str, request: PageRequest) -> PageResponse:
    """Return the response with the page itself.

    Args:
        title: the title, which is escaped.
        request: the request; links of the page are relative to its location.
    """
    page = assets()[INDEX]
    base = f"{quote(request.location, safe='')}/" if request.location else ""
    text = page.body.decode()
    for placeholder, value in (("{base}", base), ("{title}", title)):
        text = text.replace(placeholder, escape(value))
    return asset_response(asset_of(page.content_type, text.encode()), request, "Accept")
