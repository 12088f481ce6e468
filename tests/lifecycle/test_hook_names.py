"""A hook may be declared by its name, which is resolved as dependency-injector resolves it."""

import pytest
from dependency_injector import providers

from metrics.lifecycle import LifecycleContainer, Resource
from tests.lifecycle.sessions import Sessions

NAMES = [
    "tests.lifecycle.sessions.Sessions",
    ".sessions.Sessions",
    "local_hook",
    "list",
    "decimal.Decimal",
]


def local_hook():
    return "local"


class Own(Resource):
    def __init__(self, *arguments):
        super().__init__(*arguments)


@pytest.mark.parametrize("kind", [Resource, Own])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_gives_the_same_hook_as_in_a_factory_of_dependency_injector(name, kind):
    assert kind(name).provides is providers.Factory(name).provides


@pytest.mark.parametrize("name", NAMES)
def test_a_hook_may_be_set_by_its_name(name):
    assert Resource().set_provides(name).provides is providers.Factory(name).provides


def test_a_name_is_resolved_where_the_container_is_declared_and_not_where_it_is_called():
    class Container(LifecycleContainer):
        local = Resource("local_hook")
        relative = Resource(".sessions.Sessions")

    container = Container()
    assert container.local() == "local"
    assert isinstance(container.relative(), Sessions)
    container.shutdown_resources()


@pytest.mark.parametrize(
    ("name", "error"),
    [("no_such_hook", AttributeError), (".no_such_module.hook", ImportError)],
)
def test_a_name_that_does_not_exist_is_an_error_of_the_declaration(name, error):
    with pytest.raises(error, match=name.rsplit(".", 1)[0].lstrip(".")):
        Resource(name)
