"""Signatures of hooks: whether declared arguments bind to them, and whether their types fit.

Only certain misfits count. Signatures that a decorator may have changed, callables without one and
types that are known at run time only are taken to fit.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import EnumMeta
from functools import cache, partial
from types import FunctionType, MethodType, NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from dependency_injector import providers, resources

LIBRARY = __name__.partition(".")[0]

HOOKS = tuple(f"{LIBRARY}.{package}." for package in ("resources", "reporters", "integrations"))

PLAIN = frozenset({bool, bytes, dict, float, frozenset, int, list, set, str, tuple, NoneType})
"""The types of literals; none of them can stand in for a type of the library."""

# contextlib makes each of its functions of the same code, in front of the decorated generator.
GENERATED = frozenset({contextmanager(iter).__code__, asynccontextmanager(aiter).__code__})

MANAGERS = ("AbstractContextManager", "AbstractAsyncContextManager")

YIELDS = ("Iterator", "Generator", "AsyncIterator", "AsyncGenerator", *MANAGERS)

NAMES = re.compile(r"[\w.]+(?:\s*\|\s*[\w.]+)*")
"""An annotation that was written as a string: one or several dotted names."""

YIELDING = re.compile(rf"(?:\w+\.)*(?:{'|'.join(YIELDS)})\[\s*([\w.]+)\s*[\],].*")


class Signature(NamedTuple):
    """The signature of the function behind a callable, and the arguments bound beforehand."""

    signature: inspect.Signature
    function: Any
    leading: int
    names: frozenset[str]


class Parameter(NamedTuple):
    """A parameter of a hook that takes a type of the library, or a plain one."""

    name: str
    position: int
    """The position among the declared arguments; -1 for a keyword-only parameter."""
    types: tuple[type, ...]

    @property
    def wanted(self) -> str:
        """The accepted types, as an error writes them."""
        return " or ".join(article(kind) for kind in dict.fromkeys(self.types))


class Wrong(NamedTuple):
    """An argument of a type that its parameter cannot take."""

    parameter: Parameter
    argument: object
    type: type


class Signatures:
    """Signatures of many hooks, each read once.

    Keeps no hook alive: it is for one check, during which the providers hold their hooks.
    """

    def __init__(self) -> None:
        self._signatures: dict[int, Signature | None] = {}
        self._parameters: dict[int, tuple[Parameter, ...]] = {}
        self._errors: dict[object, str] = {}
        self._accepted: dict[tuple[int, str, type], bool] = {}
        self._products: dict[providers.Provider[Any], type | None] = {}

    def error(
        self, hook: object, args: Sequence[object], kwargs: Mapping[str, object], *, whole: bool
    ) -> str:
        """Return why arguments do not bind to a hook; empty if they do, or if that is unknown.

        Args:
            hook: the callable.
            args: the positional arguments.
            kwargs: the keyword arguments.
            whole: False if callers may give further arguments.
        """
        key = (id(hook), len(args), tuple(kwargs), whole)
        known = self._errors.get(key)
        if known is None:
            known = self._errors[key] = binding_error(self._of(hook), len(args), kwargs, whole)
        return known

    def wrong(
        self, hook: object, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> list[Wrong]:
        """Return the arguments that certainly are of another type than their parameters take."""
        parameters = self._parameters.get(id(hook))
        if parameters is None:
            parameters = self._parameters[id(hook)] = parameters_of(self._of(hook))
        found = []
        for parameter in parameters:
            if 0 <= parameter.position < len(args):
                argument = args[parameter.position]
            elif parameter.name in kwargs:
                argument = kwargs[parameter.name]
            else:
                continue
            kind = self._product_of(argument)
            if kind is None or kind in parameter.types:
                continue
            verdict = (id(hook), parameter.name, kind)
            if verdict not in self._accepted:
                self._accepted[verdict] = accepts(parameter, kind, library_hook=of_library(hook))
            if not self._accepted[verdict]:
                found.append(Wrong(parameter, argument, kind))
        return found

    def _of(self, hook: object) -> Signature | None:
        if id(hook) not in self._signatures:
            self._signatures[id(hook)] = signature_of(hook)
        return self._signatures[id(hook)]

    def _product_of(self, argument: object) -> type | None:
        """Return the type of an argument once it is provided; None if it is not known."""
        if not isinstance(argument, providers.Provider):
            return type(argument)
        if argument not in self._products:
            self._products[argument] = self._provided_by(argument)
        return self._products[argument]

    def _provided_by(self, provider: Any) -> type | None:
        delegated = providers.is_delegated(provider)
        while type(provider) is providers.Dependency and provider.is_defined:
            provider = provider.last_overriding or provider.default
        if delegated or provider.last_overriding is not None:
            return None
        provides = getattr(provider, "provides", None)
        made: object = None
        if isinstance(provider, providers.BaseResource):
            signature = self._of(provides)
            made = signature and yielded_type(signature.function)
        elif isinstance(provider, providers.Factory | providers.BaseSingleton):
            made = provides
        elif type(provider) is providers.Object and not providers.is_provider(provides):
            made = type(provides)
        return made if isinstance(made, type) else None


def signature_of(hook: object) -> Signature | None:
    """Return the signature of a callable as it is called; None if it is not certain."""
    leading = 0
    names: frozenset[str] = frozenset()
    while not isinstance(hook, FunctionType):
        if isinstance(hook, partial):
            leading += len(hook.args)
            names |= hook.keywords.keys()
            hook = hook.func
        elif isinstance(hook, MethodType):
            leading += 1
            hook = hook.__func__
        elif isinstance(hook, type):
            return signature_of_class(hook, leading, names)
        else:
            leading += 1
            hook = getattr(type(hook), "__call__", None)  # noqa: B004 - to read its signature
            if not isinstance(hook, FunctionType):
                return None
    declared = vars(hook).get("__signature__")
    # Hooks of instruments have the signature of the shortcut that they are made from.
    if isinstance(declared, inspect.Signature) and of_library(hook):
        return Signature(declared, hook, leading, names)
    if hook.__code__ in GENERATED:
        made = signature_of(vars(hook).get("__wrapped__"))
        return made and made._replace(leading=made.leading + leading, names=made.names | names)
    if "__signature__" in vars(hook):
        return None
    # A decorator may give the function that it wraps other arguments than it takes itself.
    return Signature(inspect.signature(hook, follow_wrapped=False), hook, leading, names)


def signature_of_class(cls: type, leading: int, names: frozenset[str]) -> Signature | None:
    """Return the signature that the instances of a class are made with."""
    making: Any = cls
    made = cls.__new__ if isinstance(cls.__new__, FunctionType) else cls.__init__  # type: ignore[misc]
    for stock in (resources.Resource, resources.AsyncResource):
        if issubclass(cls, stock) and made is stock.__init__:
            # Its __init__ takes anything, and hands it to init().
            making = made = cls.init
            leading += 1
    uncertain = isinstance(cls, EnumMeta) or hasattr(cls, "__signature__")
    if uncertain or not isinstance(made, FunctionType):
        return None
    try:
        signature = inspect.signature(making, follow_wrapped=False)
    except (TypeError, ValueError):
        return None
    return Signature(signature, made, leading, names)


def binding_error(
    signature: Signature | None, count: int, kwargs: Mapping[str, object], whole: bool
) -> str:
    """Return why arguments do not bind to a signature, or an empty string."""
    if signature is None:
        return ""
    bind: Callable[..., object]
    bind = signature.signature.bind if whole else signature.signature.bind_partial
    try:
        bind(*[None] * (signature.leading + count), **dict.fromkeys([*signature.names, *kwargs]))
    except TypeError as error:
        return str(error)
    return ""


def parameters_of(signature: Signature | None) -> tuple[Parameter, ...]:
    """Return the parameters of types that can be compared with the types of arguments."""
    if signature is None:
        return ()
    found = []
    for position, parameter in enumerate(signature.signature.parameters.values()):
        types = types_of(parameter.annotation, signature.function)
        if not types or parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        if parameter.default is None:
            types = (*types, NoneType)
        place = -1 if parameter.kind is parameter.KEYWORD_ONLY else position - signature.leading
        found.append(Parameter(parameter.name, place, types))
    return tuple(found)


def types_of(annotation: object, function: FunctionType) -> tuple[type, ...]:
    """Return the types that an annotation allows; none if one of them cannot be compared."""
    if isinstance(annotation, str):
        if not NAMES.fullmatch(annotation):
            return ()
        found = [resolve_name(name.strip(), function) for name in annotation.split("|")]
    elif isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        found = list(get_args(annotation))
    else:
        found = [annotation]
    known = [NoneType if kind is None else kind for kind in found]
    types = [kind for kind in known if isinstance(kind, type)]
    comparable = all(kind in PLAIN or is_library(kind) for kind in types)
    return tuple(types) if comparable and len(types) == len(known) else ()


def resolve_name(name: str, function: FunctionType) -> object:
    """Return the object that a name in an annotation stands for; the function if unknown."""
    first, *rest = name.split(".")
    builtin = {kind.__name__: kind for kind in PLAIN} | {"None": None}
    found: object = function.__globals__.get(first, builtin.get(first, function))
    for attribute in rest:
        found = getattr(found, attribute, function)
    return found


def yielded_type(function: FunctionType) -> type | None:
    """Return the type that a hook's return annotation says it provides; None if unknown."""
    annotation: object = function.__annotations__.get("return")
    if isinstance(annotation, str):
        if match := YIELDING.fullmatch(annotation):
            annotation = match[1]
        if not NAMES.fullmatch(annotation):
            return None
        annotation = resolve_name(annotation, function)
    elif getattr(get_origin(annotation), "__name__", "") in YIELDS:
        annotation = get_args(annotation)[0]
    if not isinstance(annotation, type) or get_origin(annotation) is not None:
        return None
    return annotation if is_library(annotation) else None


def accepts(parameter: Parameter, kind: type, *, library_hook: bool) -> bool:
    """Return whether a parameter may take values of a type; True if that is not certain."""
    if kind in PLAIN:
        # The annotations of other hooks may be narrower than the hooks need.
        return not library_hook or not PLAIN.isdisjoint(parameter.types)
    # The object behind a protocol may be more than that.
    return not is_library(kind) or is_protocol(kind) or fits(kind, parameter.types)


def fits(kind: type, types: tuple[type, ...]) -> bool:
    """Return whether a class is one of several types, or can stand in for one of them."""
    for wanted in types:
        if not is_protocol(wanted) and issubclass(kind, wanted):
            return True
        if wanted not in PLAIN and all(hasattr(kind, name) for name in methods(wanted)):
            return True
    return hasattr(kind, "__getattr__")


def is_protocol(cls: type) -> bool:
    """Return whether a class only says which methods others have."""
    return bool(getattr(cls, "_is_protocol", False))


@cache
def methods(cls: type) -> tuple[str, ...]:
    """Return the names of the public methods of a class of the library."""
    return tuple(n for n in dir(cls) if not n.startswith("_") and callable(getattr(cls, n)))


def is_library(cls: object) -> bool:
    """Return whether a class is defined in this library."""
    return getattr(cls, "__module__", "").partition(".")[0] == LIBRARY


def of_library(hook: object) -> bool:
    """Return whether a callable is one of the library's hooks."""
    while isinstance(hook, partial):
        hook = hook.func
    module = getattr(hook, "__module__", None)
    return isinstance(module, str) and f"{module}.".startswith(HOOKS)


def makes_context_manager(hook: object) -> bool:
    """Return whether a function certainly returns a context manager that waits to be entered."""
    while isinstance(hook, partial):
        hook = hook.func
    if not isinstance(hook, FunctionType):
        return False
    made = str(hook.__annotations__.get("return"))
    annotated = of_library(hook) and any(f"{name}[" in made for name in MANAGERS)
    return hook.__code__ in GENERATED or annotated


def article(cls: type) -> str:
    """Return the name of a type with an article."""
    if cls is NoneType:
        return "None"
    return f"{'an' if cls.__name__[0] in 'AEIOUaeiou' else 'a'} {cls.__name__}"
