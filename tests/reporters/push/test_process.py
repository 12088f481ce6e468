"""Each process has a name and a UUID of its own, also after a fork."""

import os
import sys
from uuid import UUID

import pytest

from metrics.reporters._push.process import process_name, process_uuid, program_name
from tests.forks import in_child


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/usr/bin/gunicorn", "app:app"], "gunicorn"),
        (["worker.py"], "worker"),
        (["./jobs/nightly.sh.py"], "nightly.sh"),
        (["/lib/python/celery/__main__.py", "worker"], "celery"),
        (["__main__.py"], "python"),
        (["-c"], "python"),
        (["-m"], "python"),
        ([""], "python"),
        ([], "python"),
        (["/"], "python"),
    ],
)
def test_a_program_has_the_name_of_its_file(monkeypatch: pytest.MonkeyPatch, arguments, name):
    monkeypatch.setattr(sys, "argv", arguments)
    assert program_name() == name


def test_an_embedded_interpreter_has_no_arguments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(sys, "argv")
    assert program_name() == "python"


def test_a_process_has_the_name_of_its_host_and_its_id():
    host, _, number = process_name().rpartition(":")
    assert host
    assert number == str(os.getpid())


def test_a_process_keeps_its_uuid():
    assert process_uuid() == process_uuid()
    assert UUID(process_uuid()).version == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("identity", [process_uuid, process_name])
def test_forked_processes_have_identities_of_their_own(identity):
    own = identity()
    children = [in_child(identity) for _ in range(2)]
    grandchild = in_child(lambda: in_child(identity))
    assert len({own, grandchild, *children}) == 4
    assert identity() == own
