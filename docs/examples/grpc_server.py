"""Measured server of gRPC: python grpc_server.py 50051 9100, with its page at port 9100."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from dependency_injector.providers import Singleton

from metrics.integrations import asgi, uvicorn
from metrics.integrations.grpc import RPCServer, rpc
from metrics.integrations.grpc import server as interceptor
from metrics.lifecycle import MetricsContainer, Resource, running


def greet(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b"Hello, " + request


def serve(calls: RPCServer, port: str) -> Iterator[grpc.Server]:
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[interceptor(calls)])
    greeter = {"Greet": grpc.unary_unary_rpc_method_handler(greet)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Greeter", greeter)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield server
    server.stop(grace=5).wait()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    calls = Resource(rpc, registry)
    server = Resource(serve, calls, sys.argv[1])
    page = Resource(uvicorn.serve, Singleton(asgi.metrics, registry), port=int(sys.argv[2]))


if __name__ == "__main__":
    with running(Container()) as container:
        container.server().wait_for_termination()
