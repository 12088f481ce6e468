"""Types of integrations, with the types of their frameworks."""

from collections.abc import AsyncIterator, Callable
from typing import assert_type

import httpx
from aiohttp import web
from apscheduler.schedulers.background import BackgroundScheduler
from dependency_injector import providers
from django.http import HttpRequest, HttpResponse
from fastapi import FastAPI
from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette

from metrics import Registry
from metrics.integrations import (
    aiohttp,
    apscheduler,
    asgi,
    celery,
    django,
    grpc,
    http,
    opentelemetry,
    processes,
    prometheus_client,
    sqlalchemy,
    uvicorn,
    wsgi,
)
from metrics.integrations._http.instruments import HTTPServer
from metrics.integrations.httpx import HTTPClient, client
from metrics.lifecycle import MetricsContainer, Resource, lifespan


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    shared = Resource(processes.share, registry, gauges={"queue": "max"})
    http = Resource(http.server, registry, exclude=["/metrics"])
    api = Resource(client, registry)
    rpc = Resource(grpc.rpc, registry)
    tasks = Resource(celery.tasks, registry)
    meters = Resource(opentelemetry.meter_provider, registry)
    included = Resource(prometheus_client.include, registry)
    page = Resource(uvicorn.serve, providers.Singleton(asgi.metrics, registry), port=0)


container = Container()
assert_type(container.http(), HTTPServer)
assert_type(container.api(), HTTPClient)
assert_type(container.rpc(), grpc.RPCServer)
assert_type(container.meters(), opentelemetry.MeterProvider)
assert_type(container.page(), uvicorn.Address)
assert_type(container.page().url, str)

fast = FastAPI(lifespan=lifespan(container))
fast.add_middleware(asgi.Measured, http=container.http)
fast.add_route("/metrics", asgi.metrics(container))
fast.mount("/observability", asgi.exposition(container.registry))
Starlette().add_middleware(asgi.Measured, http=container.http)

flask = Flask(__name__)
measured_flask = wsgi.measured(flask.wsgi_app, container.http)
wsgi.measured(measured_flask, container.http())
wsgi.metrics(Registry(), timeout=2)

application = web.Application(middlewares=[aiohttp.measured(container.http)])
application.cleanup_ctx.append(aiohttp.running(container))
application.router.add_get("/metrics", aiohttp.metrics(container))
assert_type(aiohttp.running(container), Callable[[web.Application], AsyncIterator[None]])

assert_type(django.metrics(HttpRequest()), HttpResponse)

httpx.Client(transport=container.api().transport())
httpx.AsyncClient(transport=container.api().async_transport())

with sqlalchemy.engine(Registry(), create_engine("sqlite://")) as engine:
    assert_type(engine, Engine)
with sqlalchemy.engine(Registry(), create_async_engine("sqlite+aiosqlite://")) as async_engine:
    assert_type(async_engine, AsyncEngine)
with prometheus_client.export(Registry(), CollectorRegistry()) as collector:
    assert_type(collector, Collector)
with apscheduler.jobs(Registry(), BackgroundScheduler(), by="id") as scheduler:
    assert_type(scheduler, BackgroundScheduler)

asgi.metrics(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
asgi.metrics(container, timeout=[])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fast.add_middleware(asgi.Measured, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
wsgi.measured(flask.wsgi_app)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
wsgi.measured(5, container.http)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
aiohttp.measured(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
aiohttp.running(Container)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
http.server("registry")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
processes.share(Registry(), gauges=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
grpc.rpc()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sqlalchemy.engine(Registry(), "sqlite://")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
uvicorn.serve(asgi.metrics(container), port="9464")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
