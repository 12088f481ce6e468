"""The example of aiohttp counts its requests, and ends cleanly."""

import pytest

from tests.examples.programs import present
from tests.examples.serving import check_sales
from tests.processes import LOOPBACK

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


def command(port):
    return [
        "aiohttp.web",
        "--hostname",
        LOOPBACK,
        "--port",
        str(port),
        "docs.examples.aiohttp_app:create_app",
    ]


def test_the_example_counts_every_request_and_ends(tmp_path):
    check_sales(command, "/items/{number}", tmp_path / "log")
