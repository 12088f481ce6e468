"""`check()` finds the problems of a container, and starts nothing."""

import functools
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from dependency_injector import containers, providers

import container as composition
from metrics.lifecycle import Fault, LifecycleContainer, MetricsContainer, Resource, check, state
from tests.lifecycle.programs import LIGHT

ROOT = Path(__file__).parents[2]


@contextmanager
def hook(*_args, **_kwargs):
    yield object()


def made_of(**declared):
    container = LifecycleContainer()
    for name, provider in declared.items():
        container.set_provider(name, provider)
    return container


def found(container):
    return [(problem.fault, problem.name) for problem in check(container)]


class Library(LifecycleContainer):
    registry = providers.Dependency()
    hits = Resource(hook, registry)


class Gateways(containers.DeclarativeContainer):
    registry = Resource(hook)


class Service(LifecycleContainer):
    gateways = providers.DependenciesContainer()
    user = Resource(hook, gateways.registry)


class Clean(LifecycleContainer):
    gateways = providers.Container(Gateways)
    library = providers.Container(Library, registry=gateways.registry)
    service = providers.Container(Service, gateways=gateways)
    plain = Resource(hook, [1, {"a": (2, None)}], print, functools.partial(print, 1), key={3})


@pytest.mark.parametrize("declared", [composition.Container, MetricsContainer, Clean])
def test_a_sound_container_has_no_problems_as_a_class_or_an_instance(declared):
    assert check(declared) == ()
    assert check(declared()) == ()


@pytest.mark.parametrize("make", [lambda declared: declared, lambda declared: declared()])
def test_undefined_dependencies_are_found_in_embedded_containers_too(make):
    class Host(LifecycleContainer):
        library = providers.Container(Library)

    assert found(make(Library)) == [(Fault.UNDEFINED, "registry")]
    assert found(make(Host)) == [(Fault.UNDEFINED, "library.registry")]
    assert found(make(Service)) == [(Fault.UNDEFINED, "gateways.registry")]
    (problem,) = check(make(Library))
    assert "give the container a provider" in str(problem)
    assert str(problem).startswith("dependency 'registry' is undefined: ")


def test_a_dependency_with_a_default_or_a_provider_is_defined():
    class Lenient(LifecycleContainer):
        registry = providers.Dependency(default=1)

    assert check(Lenient()) == ()
    assert check(Library(registry=providers.Object(1))) == ()
    assert check(Service(gateways=Gateways())) == ()


def ring(length, link=lambda provider: provider):
    resources = [Resource(hook) for _ in range(length)]
    for resource, following in zip(resources, resources[1:] + resources[:1], strict=True):
        resource.add_args(link(following))
    return {f"p{index}": resource for index, resource in enumerate(resources)}


LINKS = {
    "directly": lambda provider: provider,
    "factory": lambda provider: providers.Factory(dict, x=provider),
    "singleton": lambda provider: providers.Singleton(dict, x=provider),
    "callable": lambda provider: providers.Callable(dict, x=provider),
    "list": providers.List,
    "dict": lambda provider: providers.Dict(x=provider),
    "selector": lambda provider: providers.Selector(lambda: "x", x=provider),
    "aggregate": lambda provider: providers.Aggregate(x=providers.Factory(dict, x=provider)),
    "provided": lambda provider: provider.provided.x["y"].call(),
    "dependency": lambda provider: providers.Dependency(default=provider),
}


@pytest.mark.parametrize("length", [1, 2, 300])
@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_cycle_of_any_length_through_any_provider_is_found_once(link, length):
    names = ring(length, link)
    container = made_of(**names)
    (problem,) = check(container)
    assert problem.fault is Fault.CYCLE
    steps = problem.message.split(": ")[0].split(" needs ")
    assert steps[0] == steps[-1]
    assert set(names) <= set(steps)
    # A name is for people: not the address of an object.
    assert " at 0x" not in problem.message
    assert "`.provider`" in problem.message


def test_two_cycles_are_two_problems_and_innocent_resources_are_in_neither():
    one = ring(2)
    other = {f"q{name[1:]}": resource for name, resource in ring(3).items()}
    beside = {"before": Resource(hook), "after": Resource(hook, one["p0"], other["q0"])}
    problems = check(made_of(**one, **other, **beside))
    assert [problem.fault for problem in problems] == [Fault.CYCLE] * 2
    paths = [set(problem.message.split(": ")[0].split(" needs ")) for problem in problems]
    assert sorted(map(sorted, paths)) == [["p0", "p1"], ["q0", "q1", "q2"]]


def test_a_cycle_across_containers_is_found():
    class Host(LifecycleContainer):
        outside = Resource(hook)
        library = providers.Container(Library, registry=outside)

    Host.outside.add_args(Host.library.hits)
    for container in (Host, Host()):
        (problem,) = check(container)
        assert problem.fault is Fault.CYCLE
        assert all(name in problem.message for name in ("outside", "library.hits"))


def test_a_resource_that_overrides_what_it_needs_is_a_cycle():
    real = Resource(hook)
    wrapper = Resource(hook, real)
    real.override(wrapper)
    assert {fault for fault, _ in found(made_of(real=real, wrapper=wrapper))} == {Fault.CYCLE}


HANDING_OVER = {
    "provider": lambda provider: provider.provider,
    "delegate": providers.Delegate,
    "object": providers.Object,
    "factory of it": lambda provider: providers.Factory(dict, x=provider.provider),
}


@pytest.mark.parametrize("link", HANDING_OVER.values(), ids=HANDING_OVER)
def test_what_only_hands_a_provider_over_makes_no_cycle(link):
    first, second = Resource(hook), Resource(hook)
    first.add_args(second)
    second.add_args(link(first))
    container = made_of(first=first, second=second)
    assert check(container) == ()
    container.init_resources()
    container.shutdown_resources()


def test_a_container_that_takes_from_and_gives_to_its_host_makes_no_cycle():
    class Host(LifecycleContainer):
        __self__ = providers.Self()
        first = Resource(hook)
        library = providers.Container(Library, registry=first)
        last = Resource(hook, library.hits)
        whole = providers.Factory(dict, library=library, host=__self__)

    for container in (Host, Host()):
        assert check(container) == ()


def test_a_long_chain_is_no_cycle():
    resources = [Resource(hook)]
    for _ in range(5000):
        resources.append(Resource(hook, resources[-1]))
    assert (
        check(made_of(**{f"p{index}": resource for index, resource in enumerate(resources)})) == ()
    )


def closure(resource):
    return lambda: resource().value


def method(resource):
    class Maker:
        def make(self):
            return resource()

    return Maker().make


def wrapped(resource):
    @contextmanager
    def hook():
        yield resource()

    return hook


FUNCTIONS = {
    "closure": closure,
    "method": method,
    "wrapped": wrapped,
    "partial": lambda resource: functools.partial(hook, resource),
    "partial keyword": lambda resource: functools.partial(hook, x=resource),
    "default": lambda resource: lambda x=resource: x,
    "keyword default": lambda resource: lambda *, x=resource: x,
    "nested closure": lambda resource: closure(closure(resource)),
}
COLLECTIONS = {
    "list": lambda resource: [resource],
    "tuple": lambda resource: (resource,),
    "set": lambda resource: {resource},
    "dict": lambda resource: {"x": resource},
    "nested": lambda resource: {"x": [({"y": [resource]},)]},
    "closure in list": lambda resource: [closure(resource)],
    "factory in list": lambda resource: [providers.Factory(dict, x=resource)],
}
HIDINGS = {**FUNCTIONS, **COLLECTIONS}
USERS = {
    "resource": lambda value: Resource(hook, value),
    "resource keyword": lambda value: Resource(hook, x=value),
    "stock resource": lambda value: providers.Resource(hook, value),
    "factory": lambda value: providers.Factory(dict, x=value),
    "singleton": lambda value: providers.Singleton(dict, x=value),
    "callable": lambda value: providers.Callable(dict, x=value),
    "list": providers.List,
    "dict": lambda value: providers.Dict(x=value),
    "attribute": lambda value: providers.Factory(dict).add_attributes(x=value),
}


@pytest.mark.parametrize("hide", [COLLECTIONS["list"], FUNCTIONS["closure"]])
@pytest.mark.parametrize("use", USERS.values(), ids=USERS)
def test_a_resource_hidden_among_the_arguments_of_any_provider_is_found(use, hide):
    resource = Resource(hook)
    (problem,) = check(made_of(resource=resource, user=use(hide(resource))))
    assert (problem.fault, problem.name) == (Fault.HIDDEN, "user")
    assert "'resource'" in problem.message


@pytest.mark.parametrize("hide", HIDINGS.values(), ids=HIDINGS)
def test_a_resource_hidden_in_a_function_or_a_plain_collection_is_found(hide):
    resource = Resource(hook)
    (problem,) = check(made_of(resource=resource, user=Resource(hook, hide(resource))))
    assert (problem.fault, problem.name) == (Fault.HIDDEN, "user")
    assert "'resource'" in problem.message


PROGRAM = """
from metrics.lifecycle import LifecycleContainer, Resource, check

class Container(LifecycleContainer):
    resource = Resource(dict)
    user = Resource(list, [resource.provided.x])

print(*[(problem.fault, problem.name) for problem in check(Container)])
"""


def test_a_resource_hidden_behind_an_attribute_is_found_and_the_check_ends():
    # In a process of its own: a check that does not end could not be stopped in this one.
    done = subprocess.run(
        [sys.executable, "-c", LIGHT + PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"{(Fault.HIDDEN, 'user')}\n"


@pytest.mark.parametrize("make", [Resource, providers.Factory, providers.Singleton])
@pytest.mark.parametrize("hide", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_resource_hidden_in_what_makes_a_resource_is_found(hide, make):
    resource = Resource(hook)
    problems = check(made_of(resource=resource, user=make(hide(resource))))
    # A factory of a context manager may be a problem of its own.
    (problem,) = (problem for problem in problems if problem.fault is Fault.HIDDEN)
    assert problem.name == "user"
    assert "pass it as an argument" in problem.message


def test_what_is_passed_as_it_should_be_is_not_hidden():
    resource = Resource(hook)
    right = {
        "by_itself": Resource(hook, resource, x=resource),
        "listed": Resource(hook, providers.List(resource), providers.Dict(x=resource)),
        "later": Resource(hook, resource.provider),
    }
    assert check(made_of(resource=resource, **right)) == ()


def test_collections_that_hold_themselves_and_odd_callables_are_no_trouble():
    class Everything:
        """Has every attribute one asks for, as a proxy has, and none of them means anything."""

        def __getattr__(self, name):
            return self

        def __call__(self):
            return self

    endless = []
    endless.append(endless)
    assert check(made_of(user=providers.Factory(dict, x=endless, y=Everything()))) == ()


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_a_resource_started_on_the_class_is_found_from_the_class_and_its_instances(kind):
    class Container(LifecycleContainer):
        resource = kind(hook)
        other = kind(hook)

    earlier = Container()
    Container.resource()
    try:
        assert found(Container) == found(earlier) == [(Fault.STARTED_ON_CLASS, "resource")]
        assert "Container().resource()" in str(check(Container)[0])
        assert state(earlier) == "NEW"
    finally:
        Container.resource.shutdown()
    assert check(Container) == check(earlier) == ()


def test_a_resource_that_runs_in_its_container_is_no_problem():
    container = Clean()
    container.init_resources()
    try:
        assert check(container) == ()
    finally:
        container.shutdown_resources()
    assert check(container) == check(Clean) == ()


@pytest.mark.parametrize("wrong", [None, 5, Resource(hook)])
def test_something_else_than_a_container_is_a_clear_error(wrong):
    with pytest.raises(TypeError, match=r"check\(\) takes a container"):
        check(wrong)
