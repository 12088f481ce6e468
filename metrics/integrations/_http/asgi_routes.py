"""Templates of the routes that answered requests to ASGI applications.

Starlette, FastAPI and Litestar leave in the scope which route has answered, but of a route below
a mount or in an included router only the end of its template. So the routes of the outermost router
are listed once, each with its whole template, and the object in the scope is looked up. A request
matches no pattern, unless several templates share one route.
"""

import re
from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple, final

Scope = MutableMapping[str, Any]

MOST_WALKS = 8
"""Most walks of the routes of one application, which may add routes while it runs."""

MOST_LAYERS = 32
"""Most middleware around a mounted application, and most mounts within each other."""

PARAMETER = re.compile(r"{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?}")
"""Parameter of a path, as Starlette's `compile_path` reads it."""


class Template(NamedTuple):
    """Template of a route, and the pattern of the paths that it answers.

    owner: the object in the scope, kept alive for its identity.
    """

    owner: object
    text: str
    pattern: re.Pattern[str]


@final
class Routes:
    """Templates of one application. Safe to use from any thread."""

    __slots__ = ("_shared", "_single", "_walks")

    def __init__(self) -> None:
        # By the identity of routes, endpoints and FastAPI's contexts of included routers.
        self._single: dict[int, str] = {}
        self._shared: dict[int, list[Template]] = {}
        self._walks = 0

    def template(self, scope: Scope) -> str:
        """Return the template of the route that answered a request; empty if none did."""
        route = scope.get("route")
        if route is None and "endpoint" not in scope:
            # Litestar has templates, empty ones for a mount and an unknown route.
            return scope.get("path_template") or ""
        found = self._single.get(id(route))
        return self._resolve(scope) if found is None else found

    def _resolve(self, scope: Scope) -> str:
        """Return the template if the route alone does not have one."""
        keys = keys_of(scope)
        if not keys or "router" not in scope:
            return ""
        found = self._find(keys, scope)
        if found is None and self._walks < MOST_WALKS:
            self._walks += 1
            self._walk(scope["router"])
            found = self._find(keys, scope)
        if found is None:
            # A route in an application that a middleware hides: its own template, without mounts.
            found = getattr(keys[0], "path_format", "")
        return found

    def _find(self, keys: list[object], scope: Scope) -> str | None:
        for key in keys:
            templates = self._shared.get(id(key), [])
            if len(templates) == 1:
                return templates[0].text
            if templates:
                path = path_of(scope)
                matching = (each.text for each in templates if each.pattern.match(path))
                return next(matching, templates[0].text)
        return None

    def _walk(self, router: Any) -> None:
        """List the routes below the outermost router."""
        shared: dict[int, list[Template]] = {}
        for owner, prefix, path, is_mount in routes_of(router):
            rest = "(?:/|$)" if is_mount else "$"
            pattern = re.compile(f"^{pattern_of(prefix + path)}{rest}", re.DOTALL)
            template = Template(owner, PARAMETER.sub(r"{\1}", prefix + path), pattern)
            templates = shared.setdefault(id(owner), [])
            if all(each.text != template.text for each in templates):
                templates.append(template)
        # The earlier objects are kept too: another one with the same identity would be confused.
        self._shared = self._shared | shared
        self._single = {
            key: templates[0].text
            for key, templates in self._shared.items()
            if len(templates) == 1 and not hasattr(templates[0].owner, "routes")
        }


def keys_of(scope: Scope) -> list[object]:
    """Return the objects in the scope that identify the route, the most exact one first."""
    route, endpoint = scope.get("route"), scope.get("endpoint")
    context = scope.get("fastapi", {}).get("effective_route_context")
    keys = []
    # FastAPI's included router: its route has the end of the path only, and is in several routers.
    if context is not None and getattr(context, "original_route", None) is route:
        keys.append(context)
    elif route is not None and not hasattr(route, "routes"):
        keys.append(route)
    # A mount may be stale: a FastAPI application below it has answered without a route.
    if endpoint is not None:
        keys.append(endpoint)
    if route is not None:
        keys.append(route)
    return keys


def path_of(scope: Scope) -> str:
    """Return the path below the root of the outermost application."""
    path: str = scope["path"]
    # The first mount keeps the root, and changes `root_path`.
    root: str = scope.get("app_root_path", scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if path.startswith(f"{root}/") else path


def pattern_of(path: str) -> str:
    """Return the regular expression of a path with parameters."""
    texts = PARAMETER.split(path)
    pattern = re.escape(texts[0])
    for convertor, text in zip(texts[2::3], texts[3::3], strict=True):
        pattern += (".*" if convertor == "path" else "[^/]+") + re.escape(text)
    return pattern


def routes_of(
    router: Any, prefix: str = "", layers: int = MOST_LAYERS
) -> Iterator[tuple[object, str, str, bool]]:
    """Yield the objects in scopes that identify a route, its prefix and path, and if it mounts."""
    for route in list(getattr(router, "routes", None) or ()):
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield from one_route(route, route, prefix, layers)
        else:
            for context in contexts():
                yield from one_route(context, context.starlette_route or context, prefix, layers)


def one_route(
    owner: object, route: Any, prefix: str, layers: int
) -> Iterator[tuple[object, str, str, bool]]:
    """Yield the objects of one route, and of all routes below it."""
    path: str = getattr(route, "path", "")
    application = getattr(route, "app", None)
    below = router_below(route, layers)
    endpoint = getattr(route, "endpoint", None)
    # The endpoint of a mount is the mounted application.
    for key in (owner, route) if owner is not route else (owner,):
        yield key, prefix, path, endpoint is None
    yield application if endpoint is None else endpoint, prefix, path, endpoint is None
    if below is not None and layers:
        yield from routes_of(below, prefix + path, layers - 1)


def router_below(route: Any, layers: int) -> Any:
    """Return the mounted application or router with routes, inside its middleware; or None."""
    if not hasattr(route, "routes"):
        return None
    below = getattr(route, "_base_app", None) or getattr(route, "app", None)
    for _ in range(layers):
        if below is None or getattr(below, "routes", None):
            break
        below = getattr(below, "app", None)
    return below
