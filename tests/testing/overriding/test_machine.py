"""Blocks begin and end in any order, around any starts and stops: what is provided always fits."""

from contextlib import contextmanager, suppress

from dependency_injector import providers
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from metrics.errors import LifecycleError, NotRunningError
from metrics.lifecycle import LifecycleContainer, Resource, State, state
from metrics.testing import overridden

NAMES = ["inner.clock", "inner.base", "user", "keeper", "inner", "config", "config.a", "config.b"]
KINDS = ["value", "manager", "resource", "derived", "same"]
RESOURCES = ["inner.base", "user", "other", "of_a", "of_b", "of_all"]
OWN = {"base", "user", "other", "of_a", "of_b", "of_all"}


class Made:
    """Knows what it was made of."""

    def __init__(self, *given) -> None:
        self.given = given


def in_place_of(provider):
    while provider.last_overriding is not None:
        provider = provider.last_overriding
    return provider


def is_up(provider):
    return isinstance(provider, Resource) and state(provider) is State.RUNNING


class Machine(RuleBasedStateMachine):
    """Keeps a list of what runs, and of the blocks that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.running = {}
        self.managers = set()
        self.blocks = []
        self.inners = set()
        self.count = 0

        class Inner(LifecycleContainer):
            clock = providers.Object("clock")
            base = Resource(self.hook, "base", clock)

        class Outer(LifecycleContainer):
            inner = providers.Container(Inner)
            user = Resource(self.hook, "user", inner.base)
            keeper = providers.Singleton(Made, inner.clock)
            holder = providers.Singleton(Made, user, keeper)
            other = Resource(self.hook, "other")
            config = providers.Configuration(default={"a": 0, "b": 0})
            of_a = Resource(self.hook, "of_a", config.a)
            of_b = Resource(self.hook, "of_b", config.b)
            of_all = Resource(self.hook, "of_all", config)
            made_of_a = providers.Singleton(Made, config.a)

        self.inner = Inner
        self.container = Outer()
        self.kept = self.container.keeper()
        self.shared = providers.Object("shared")

    def __deepcopy__(self, memo):
        return self

    @contextmanager
    def hook(self, name, *given):
        self.count += 1
        value = (name, self.count)
        self.running[value] = given
        yield value
        del self.running[value]

    @contextmanager
    def manager(self):
        self.count += 1
        value = ("manager", self.count)
        self.managers.add(value)
        yield value
        self.managers.remove(value)

    def replacement(self, name, kind):
        if name == "inner":
            inner = self.inner()
            self.inners.add(inner.base)
            return inner
        if kind == "same":
            return self.shared
        if kind == "manager":
            return self.manager()
        if kind == "resource":
            return Resource(self.hook, "fake")
        if kind == "derived" and name in {"user", "inner.base"}:
            return Resource(self.hook, "derived", self.container.inner.clock)
        self.count += 1
        return ("value", self.count)

    def options(self, name):
        self.count += 1
        return self.count if "." in name else {"a": self.count, "b": self.count}

    def provider(self, name):
        *path, last = name.split(".")
        container = self.container
        for step in path:
            container = container.providers[step].container
        return container.providers[last]

    @rule(named=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(KINDS), min_size=1))
    def begin(self, named) -> None:
        if "inner" in named:
            named = {name: kind for name, kind in named.items() if not name.startswith("inner.")}
        if "config" in named:
            named = {name: kind for name, kind in named.items() if not name.startswith("config.")}
        given = {
            name: self.options(name) if name.startswith("config") else self.replacement(name, kind)
            for name, kind in named.items()
        }
        block = overridden(self.container, given)
        before = self.stacks()
        managers, running = set(self.managers), set(self.running)
        try:
            block.__enter__()
        except LifecycleError:
            # Nothing runs that could have been given what is there: then there is no reason.
            assert running
            assert self.stacks() == before
            assert self.managers == managers
            assert set(self.running) == running
        else:
            self.blocks.append(block)

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def end(self, data) -> None:
        block = data.draw(st.sampled_from(self.blocks))
        self.blocks.remove(block)
        block.__exit__(None, None, None)

    @rule()
    def start(self) -> None:
        self.container.init_resources()

    @rule()
    def stop(self) -> None:
        self.container.shutdown_resources()
        assert not any(name in OWN for name, _ in self.own_running())

    def own_running(self):
        declared = [self.provider(name) for name in RESOURCES]
        return [resource.record.value for resource in declared if resource.initialized]

    @rule(name=st.sampled_from([*RESOURCES, "keeper", "holder"]))
    def ask(self, name) -> None:
        with suppress(NotRunningError):
            self.provider(name)()

    def stacks(self):
        walked = [self.container, self.container.providers["inner"].container]
        return {p: p.overridden for each in walked for p in each.providers.values()}

    @invariant()
    def what_is_up_was_given_what_is_provided(self) -> None:
        base, user = in_place_of(self.provider("inner.base")), in_place_of(self.provider("user"))
        # A whole container in place of the embedded one has a clock of its own.
        if is_up(base) and not self.inners & {base}:
            name, given = base.record.value, self.running[base.record.value]
            assert given == (() if name[0] == "fake" else (self.container.inner.clock(),))
        if is_up(user) and user.record.value[0] == "user":
            assert self.running[user.record.value] == (self.container.inner.base(),)

    @invariant()
    def what_is_up_was_given_the_options_that_are_provided(self) -> None:
        config = self.container.config
        for name, given in (("of_a", config.a()), ("of_b", config.b()), ("of_all", config())):
            resource = self.provider(name)
            if is_up(resource):
                assert self.running[resource.record.value] == (given,)
        assert self.container.made_of_a().given == (config.a(),)

    @invariant()
    def singletons_are_made_of_what_is_provided(self) -> None:
        keeper = self.container.keeper()
        if isinstance(keeper, Made):
            assert keeper.given == (self.container.inner.clock(),)

    @invariant()
    def as_many_managers_are_in_as_there_are_blocks_for(self) -> None:
        if not self.blocks:
            assert self.managers == set()

    @invariant()
    def without_a_block_everything_is_as_it_was(self) -> None:
        if self.blocks:
            return
        assert set(self.stacks().values()) == {()}
        assert self.container.keeper() is self.kept
        assert all(name in OWN for name, _ in self.running)
        assert set(self.running) == set(self.own_running())

    def teardown(self) -> None:
        while self.blocks:
            self.blocks.pop(self.count % len(self.blocks)).__exit__(None, None, None)
        self.without_a_block_everything_is_as_it_was()
        self.container.shutdown_resources()
        assert self.running == {}


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, phases=set(Phase) - {Phase.explain}
)
