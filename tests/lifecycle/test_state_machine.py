"""Whatever is requested of a container, in any order, its resources are in a model's states."""

from contextlib import contextmanager

import pytest
from dependency_injector import providers
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from metrics.lifecycle import (
    LifecycleContainer,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    state,
)

NEEDS = {"a": "", "b": "a", "c": ""}
NAMES = "abc"


class Machine(RuleBasedStateMachine):
    """Compares a container with a model: running resources, in order, and which may start."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = ""
        self.really_up = []
        self.container = self.new_container()
        self.up = []
        self.state = State.NEW
        # Resources that may start although the container has stopped.
        self.revived = set()
        self.overridden = False

    def new_container(self):
        @contextmanager
        def hook(name, *needed):
            self.record("start", name)
            yield name
            self.record("stop", name)

        class Container(LifecycleContainer):
            a = Resource(hook, "a")
            b = Resource(hook, "b", a)
            c = Resource(hook, "c")

        return Container()

    def record(self, phase, name) -> None:
        if self.failing == f"{phase} {name}":
            raise OSError(self.failing)
        if phase == "start":
            assert name not in self.really_up
            self.really_up.append(name)
        else:
            # The exact reverse, always.
            assert self.really_up.pop() == name

    def bring_up(self, name) -> None:
        for needed in (*NEEDS[name], name):
            if needed not in self.up:
                self.up.append(needed)

    @rule()
    def start(self) -> None:
        self.container.init_resources()
        for name in NAMES[:2] if self.overridden else NAMES:
            self.bring_up(name)
        self.state = State.RUNNING

    @rule(name=st.sampled_from(NAMES))
    def fail_to_start(self, name) -> None:
        if name in self.up or (name == "c" and self.overridden):
            return
        self.failing = f"start {name}"
        with pytest.raises(OSError):
            self.container.init_resources()
        self.failing = ""
        self.up.clear()
        self.revived.clear()
        self.state = State.FAILED

    @rule()
    def stop(self) -> None:
        self.container.shutdown_resources()
        self.up.clear()
        self.revived.clear()
        self.state = State.STOPPED

    @precondition(lambda self: self.up)
    @rule(data=st.data())
    def fail_to_stop(self, data) -> None:
        name = data.draw(st.sampled_from(self.up))
        self.failing = f"stop {name}"
        # What failed stays where it is in the record: the others go around it.
        self.really_up.remove(name)
        with pytest.raises(ShutdownError) as raised:
            self.container.shutdown_resources()
        assert len(raised.value.exceptions) == 1
        assert self.really_up == []
        assert state(self.container) is State.FAILED
        assert state(self.container.providers[name]) is State.FAILED
        # A context manager that has failed has ended all the same: the next stop has nothing to do.
        self.failing = ""
        self.stop()

    def may_start(self, name) -> bool:
        return self.state in {State.NEW, State.RUNNING} or name in self.revived

    @rule(name=st.sampled_from(NAMES))
    def ask(self, name) -> None:
        wanted = {*NEEDS[name], name}
        if name == "c" and self.overridden:
            assert self.container.c() == "c"
        elif all(map(self.may_start, wanted - set(self.up))):
            assert self.container.providers[name]() == name
            self.bring_up(name)
        else:
            with pytest.raises(NotRunningError):
                self.container.providers[name]()

    @rule()
    def start_one_alone(self) -> None:
        assert self.container.c.init() == "c"
        self.revived.add("c")
        if not self.overridden:
            self.bring_up("c")

    @rule(name=st.sampled_from("bc"))
    def stop_one_alone(self, name) -> None:
        if name in self.up and self.up[-1] != name:
            return  # the record would not be a stack any more, which the model is
        self.container.providers[name].shutdown()
        assert state(self.container.providers[name]) in {State.STOPPED, State.FAILED}
        self.revived.discard(name)
        if name in self.up:
            self.up.remove(name)
            assert state(self.container.providers[name]) is State.STOPPED

    @rule()
    def override_and_reset(self) -> None:
        if self.overridden:
            self.container.c.reset_override()
        else:
            self.container.c.override(providers.Object("c"))
        self.overridden = not self.overridden

    @invariant()
    def the_container_is_as_the_model_says(self) -> None:
        assert self.really_up == self.up
        assert state(self.container) is self.state
        declared = self.container.providers
        running = {name for name in NAMES if state(declared[name]) is State.RUNNING}
        assert running == set(self.up)

    def teardown(self) -> None:
        if self.overridden:
            self.container.c.reset_override()
        self.container.shutdown_resources()
        assert self.really_up == []


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestMachine.pytestmark = [pytest.mark.slow(reason="takes 1,500 steps")]
