"""What the tests of the agent share."""

from collections.abc import Iterator

import pytest

from tests.app.agents import Agent


@pytest.fixture
def agent() -> Iterator:
    started: list[Agent] = []

    def start(*arguments: str, **variables: str) -> Agent:
        started.append(Agent(*arguments, **variables))
        return started[-1]

    yield start
    for one in started:
        one.close()
