"""Daemon that checks several sites at once, each in a task of its own."""

import asyncio
import logging
from urllib.request import urlopen

from dependency_injector import containers, providers


class HttpClient:
    async def status(self, url: str) -> int:
        return await asyncio.to_thread(lambda: urlopen(url).status)


class Monitor:
    def __init__(self, client: HttpClient, options: dict[str, object]) -> None:
        self.client = client
        self.url = str(options["url"])
        self.seconds = float(options["seconds"])
        self.logger = logging.getLogger("daemon")

    async def check(self) -> None:
        self.logger.info("%s answers %s", self.url, await self.client.status(self.url))


class Dispatcher:
    def __init__(self, monitors: list[Monitor]) -> None:
        self.monitors = monitors
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        self.tasks = [asyncio.create_task(self.repeat(each)) for each in self.monitors]
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()

    @staticmethod
    async def repeat(monitor: Monitor) -> None:
        while True:
            await monitor.check()
            await asyncio.sleep(monitor.seconds)


def set_up_log(level: str):
    logger = logging.getLogger("daemon")
    before, logger.level = logger.level, logging.getLevelName(level)
    yield logger
    logger.level = before


class Container(containers.DeclarativeContainer):
    config = providers.Configuration()
    log = providers.Resource(set_up_log, level=config.log.level)
    client = providers.Factory(HttpClient)
    home_monitor = providers.Factory(Monitor, client=client, options=config.monitors.home)
    shop_monitor = providers.Factory(Monitor, client=client, options=config.monitors.shop)
    dispatcher = providers.Factory(Dispatcher, monitors=providers.List(home_monitor, shop_monitor))
