"""Measured client of httpx: python httpx_client.py https://example.org 1 2 3."""

import sys
from collections.abc import Iterator

import httpx
from dependency_injector.wiring import Provide, inject

from metrics.exporters import prometheus
from metrics.integrations.httpx import HTTPClient, client
from metrics.lifecycle import MetricsContainer, Resource, running


def open_api(calls: HTTPClient) -> Iterator[httpx.Client]:
    with httpx.Client(transport=calls.transport()) as api:
        yield api


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    calls = Resource(client, registry)
    api = Resource(open_api, calls)


@inject
def fetch(url: str, number: str, api: httpx.Client = Provide[Container.api]) -> int:
    template = {"url_template": "/items/{number}"}
    return api.get(f"{url}/items/{number}", extensions=template).status_code


if __name__ == "__main__":
    container = Container()
    container.wire([__name__])
    with running(container):
        for item in sys.argv[2:]:
            fetch(sys.argv[1], item)
        print(prometheus.render(container.registry()).decode())
