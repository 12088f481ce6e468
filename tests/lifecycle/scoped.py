"""Hooks of every style that hold a context manager open, and record a value inside of it."""

import asyncio
import contextlib

from dependency_injector import resources


def generator(scope, read, seen):
    def hook(*_needed):
        with scope():
            seen.append(read())
            yield "value"
            seen.append(read())

    return hook


def context_manager(scope, read, seen):
    return contextlib.contextmanager(generator(scope, read, seen))


def class_of_context_managers(scope, read, seen):
    class Hook:
        def __init__(self, *_needed):
            self.scope = scope()

        def __enter__(self):
            self.scope.__enter__()
            seen.append(read())
            return "value"

        def __exit__(self, *_exit_info):
            seen.append(read())
            self.scope.__exit__(None, None, None)

    return Hook


def class_of_resources(scope, read, seen):
    class Hook(resources.Resource):
        def init(self, *_needed):
            entered = scope()
            entered.__enter__()
            seen.append(read())
            return entered

        def shutdown(self, entered):
            seen.append(read())
            entered.__exit__(None, None, None)

    return Hook


def async_generator(scope, read, seen):
    async def hook(*_needed):
        with scope():
            await asyncio.sleep(0)
            seen.append(read())
            yield "value"
            await asyncio.sleep(0)
            seen.append(read())

    return hook


def async_context_manager(scope, read, seen):
    return contextlib.asynccontextmanager(async_generator(scope, read, seen))


def class_of_async_context_managers(scope, read, seen):
    class Hook:
        def __init__(self, *_needed):
            self.scope = scope()

        async def __aenter__(self):
            self.scope.__enter__()
            await asyncio.sleep(0)
            seen.append(read())
            return "value"

        async def __aexit__(self, *_exit_info):
            await asyncio.sleep(0)
            seen.append(read())
            self.scope.__exit__(None, None, None)

    return Hook


def class_of_async_resources(scope, read, seen):
    class Hook(resources.AsyncResource):
        async def init(self, *_needed):
            entered = scope()
            entered.__enter__()
            await asyncio.sleep(0)
            seen.append(read())
            return entered

        async def shutdown(self, entered):
            await asyncio.sleep(0)
            seen.append(read())
            entered.__exit__(None, None, None)

    return Hook


SYNC_STYLES = [generator, context_manager, class_of_context_managers, class_of_resources]
ASYNC_STYLES = [
    async_generator,
    async_context_manager,
    class_of_async_context_managers,
    class_of_async_resources,
]
