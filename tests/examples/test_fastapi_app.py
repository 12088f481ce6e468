"""The example of FastAPI counts its requests, and ends cleanly."""

import pytest

from tests.examples.programs import EXAMPLES, present
from tests.examples.serving import check_sales

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


def command(port):
    return ["uvicorn", "--app-dir", str(EXAMPLES), "--port", str(port), "fastapi_app:app"]


def test_the_example_counts_every_request_and_ends(tmp_path):
    check_sales(command, "/items/{number}", tmp_path / "log")
