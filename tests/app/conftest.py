"""What the tests of the agent share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.app.agents import Agent
from tests.app.endpoints import Endpoint, Handler, page


@pytest.fixture
def agent() -> Iterator:
    started: list[Agent] = []

    def start(*arguments: str, **options: Any) -> Agent:
        started.append(Agent(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def endpoint() -> Iterator:
    started: list[Endpoint] = []

    def start(respond: Callable[[Handler], object] | str, port: int = 0) -> Endpoint:
        started.append(Endpoint(page(respond) if isinstance(respond, str) else respond, port))
        return started[-1]

    yield start
    for one in started:
        one.close()
