"""A collector of OpenTelemetry's protocol, as a test sees it."""

import asyncio
from collections.abc import Callable

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from tests.processes import free_port
from tests.reporters.waiting import DEADLINE


def collected(push: Callable[[str], object], last: str) -> list[Metric]:
    """Return what a collector is sent while `push` runs with its URL.

    Args:
        push: sends, and ends; runs in a thread.
        last: the metric that comes last, which is waited for.
    """
    return asyncio.run(collect(push, last))


async def collect(push: Callable[[str], object], last: str) -> list[Metric]:
    port = free_port()
    settings = OtelTapHttpProtobufReceiverSettings(http_port=port)
    async with OtelTapHttpProtobufReceiver(settings) as receiver:
        metrics = receiver.stream_metrics()
        reading = asyncio.create_task(until_last(metrics, last))
        # The stream has to begin before there is something in it.
        await asyncio.sleep(0)
        await asyncio.to_thread(push, f"http://127.0.0.1:{port}")
        return await asyncio.wait_for(reading, DEADLINE)


async def until_last(metrics, last: str) -> list[Metric]:
    found = []
    async for metric in metrics:
        found.append(metric)
        if metric.name == last:
            return found
    raise AssertionError(f"{last} is not among them")
