"""The example of Flask counts its requests, and ends cleanly."""

import pytest

from tests.examples.programs import EXAMPLES, present
from tests.examples.serving import check_sales
from tests.processes import LOOPBACK

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


def command(port):
    address = f"{LOOPBACK}:{port}"
    options = ["--chdir", str(EXAMPLES), "--no-control-socket", "--bind", address]
    return ["gunicorn", *options, "flask_app:create_app()"]


def test_the_example_counts_every_request_and_ends(tmp_path):
    check_sales(command, "/items/<int:number>", tmp_path / "log")
