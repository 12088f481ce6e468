"""Docstrings and signatures that help() shows, of compiled and of interpreted instruments.

Run against an installed library, this proves it for the compiled form.
"""

import inspect
import pydoc
import re
import sys
from collections.abc import Iterator

import pytest

import metrics
from metrics import (
    EWMA,
    BucketHistogram,
    Counter,
    Family,
    FloatCounter,
    Gauge,
    GaugeSnapshot,
    Healthcheck,
    Meter,
    MeterSnapshot,
    ResettingReservoir,
    Ticker,
    Timer,
    UniformReservoir,
)
from metrics.exporters import openmetrics, prometheus
from metrics.instruments._resetting import DEFAULT_SIZE

KINDS = [kind for name in metrics.__all__ if isinstance(kind := getattr(metrics, name), type)]
FUNCTIONS = [
    function
    for module in (prometheus, openmetrics)
    for name, function in inspect.getmembers(module, inspect.isroutine)
    if function.__module__ == module.__name__ and not name.startswith("_")
]


def members(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the public methods and properties of a class, with their names."""
    for name in dir(kind):
        member = getattr(kind, name)
        documented = inspect.isroutine(member) or inspect.isdatadescriptor(member)
        if documented and not name.startswith("_") and not issubclass(kind, BaseException):
            yield name, member


PUBLIC = {
    **{kind.__name__: kind for kind in KINDS},
    **{f"{kind.__name__}.{name}": member for kind in KINDS for name, member in members(kind)},
    **{f"{function.__module__}.{function.__name__}": function for function in FUNCTIONS},
}

# Properties have no signature, Python knows none of exceptions, and protocols take anything.
SIGNED = {
    name: item
    for name, item in PUBLIC.items()
    if not inspect.isdatadescriptor(item)
    and not (isinstance(item, type) and issubclass(item, BaseException))
    and not getattr(item, "_is_protocol", False)
    # The interpreter's own clocks, which have no signature.
    and not name.startswith("SystemClock.monotonic")
}


def parameters(function: object) -> dict[str, object]:
    """Return names and defaults; `...` for a default that is an object, as compiled code has it."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
    }
    literal = (int, float, str, tuple, type(None), type(inspect.Parameter.empty))
    return {
        name: default if isinstance(default, literal) else ... for name, default in defaults.items()
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_docstring_of_words_without_indentation_or_signature(name):
    doc = inspect.getdoc(PUBLIC[name])
    assert len(doc.split()) > 1
    assert doc[0] != " "
    assert "--\n" not in doc
    assert not doc.startswith(name.rpartition(".")[2] + "(")
    # mypyc gives this to classes that it has made by others.
    assert "filler" not in doc


@pytest.mark.parametrize("name", SIGNED)
def test_a_public_name_has_a_signature_with_the_names_of_its_parameters(name):
    found = inspect.signature(SIGNED[name]).parameters
    assert not {"args", "kwargs"} & set(found)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Counter, {}),
        (Counter().inc, {"n": 1, "exemplar": None}),
        (FloatCounter().inc, {"n": 1.0, "exemplar": None}),
        (Gauge, {"function": None}),
        (Healthcheck(bool).snapshot, {"reader": ""}),
        (GaugeSnapshot, {"value": inspect.Parameter.empty}),
        (Meter, {"interval": 5.0, "clock": ...}),
        (Ticker, {"interval": 5.0, "clock": ...}),
        (EWMA, {"alpha": inspect.Parameter.empty, "interval": 5.0, "clock": ...}),
        (EWMA.one_minute, {"interval": 5.0, "clock": ...}),
        (EWMA(0.5).five_minutes, {"interval": 5.0, "clock": ...}),
        (UniformReservoir, {"size": 1028, "rng": ...}),
        (ResettingReservoir, {"size": DEFAULT_SIZE}),
        (BucketHistogram, {"bounds": inspect.Parameter.empty}),
        (Timer().update, {"seconds": inspect.Parameter.empty, "exemplar": None}),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_a_signature_has_the_names_and_literal_defaults_of_the_parameters(function, expected):
    found = parameters(function)
    assert found == expected
    assert list(map(type, found.values())) == list(map(type, expected.values()))


def test_a_signature_has_the_kinds_of_the_parameters():
    labels = inspect.signature(Family(Counter, ["a"]).labels)
    assert [(p.name, p.kind) for p in labels.parameters.values()] == [
        ("values", inspect.Parameter.VAR_POSITIONAL),
        ("named", inspect.Parameter.VAR_KEYWORD),
    ]
    render = inspect.signature(prometheus.render).parameters.values()
    assert [(p.name, p.kind, p.default) for p in render] == [
        ("registry", inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty),
        ("dialect", inspect.Parameter.KEYWORD_ONLY, "prometheus"),
        ("names", inspect.Parameter.KEYWORD_ONLY, ()),
        ("target", inspect.Parameter.KEYWORD_ONLY, None),
        ("escaping", inspect.Parameter.KEYWORD_ONLY, "underscores"),
        ("window", inspect.Parameter.KEYWORD_ONLY, 0.0),
        ("reader", inspect.Parameter.KEYWORD_ONLY, "prometheus"),
    ]


def test_a_method_of_a_class_takes_the_instrument_first():
    assert list(inspect.signature(Counter.inc).parameters) == ["self", "n", "exemplar"]
    assert inspect.signature(Counter.inc).bind(Counter(), n=2).arguments["n"] == 2


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_help_shows_the_docstrings_of_a_class_and_of_its_own_methods_and_properties(kind):
    shown = " ".join(pydoc.render_doc(kind, renderer=pydoc.plaintext).replace("|", " ").split())
    documented = [kind, *(member for name, member in members(kind) if name in vars(kind))]
    for item in documented:
        assert " ".join(inspect.getdoc(item).split()) in shown


def test_help_shows_what_a_class_is_called_with():
    shown = pydoc.render_doc(Meter, renderer=pydoc.plaintext)
    # A long signature has a line for each parameter (CPython 3.13).
    assert re.search(r"\n \|  Meter\(\s*\|?\s*interval", shown)


def test_help_of_a_module_shows_its_docstring():
    for module in (
        prometheus,
        sys.modules[Meter.__module__],
        sys.modules[MeterSnapshot.__module__],
    ):
        assert inspect.getdoc(module).splitlines()[0] in pydoc.render_doc(module)
