"""Templates of the routes that answered requests to WSGI applications."""

from typing import Any
from wsgiref.types import WSGIEnvironment


def flask_route(environ: WSGIEnvironment) -> str:
    """Return the template of the route of Flask that answers a request; empty without one."""
    request: Any = environ.get("werkzeug.request")
    if request is None:
        return ""
    # Of a request that werkzeug made without Flask, and of one that no route answers, it is None.
    rule = getattr(request, "url_rule", None)
    if rule is None:
        # A method that the route does not allow is an exception with the methods that it allows.
        allowed = getattr(getattr(request, "routing_exception", None), "valid_methods", None)
        return matching_rule(request, allowed[0]) if allowed else ""
    template: str = rule.rule
    return template


def matching_rule(request: Any, method: str) -> str:
    """Return the template of the route of Flask that would answer a request of another method."""
    from flask import current_app  # noqa: PLC0415 - loaded, since it has made the request

    adapter: Any = current_app.create_url_adapter(request)
    template: str = adapter.match(method=method, return_rule=True)[0].rule
    return template
