"""Registries made of random numbers: every kind of instrument, any names, labels and values."""

import random
from typing import NamedTuple

from metrics import Healthcheck, Instrument, Registry, StateSet
from metrics._units import scale_of
from metrics.registry._inner import TABLE, Defaults, Kind, kind_of
from metrics.testing import ManualClock

PLAIN_WORDS = ("request", "cache", "disk", "worker", "queue", "row", "page", "event")
"""Words to which promtool has no objection."""

ODD_WORDS = (
    *("total", "info", "count", "sum", "bucket", "created", "seconds", "milliseconds", "percent"),
    *("_", "__", "9", "é", "ß", "请求", "😱", '"', "\\", "{x}", "a=b", "#", "%s", ",", "U__", "e"),
)
"""Words that are suffixes of formats, and characters that formats use themselves."""

PLAIN_SIGNS, ODD_SIGNS = "/._-", "/._-: +"

UNITS = ("", "seconds", "milliseconds", "bytes", "ratio", "percent", "celsius")
ODD_UNITS = (*UNITS, "°", "a/b", "total", "_")

TEXTS = ("", "a", "/", '"', "\\", "\n", "é", "a b", ",", "}", "{}", "#", "%d", "\u2028", "\ud800")


class Generated(NamedTuple):
    """Registry with the values that its pages have: one of each instrument that is one number."""

    registry: Registry
    families: int
    values: list[float]


def generate(seed: int, *, prefix: str = "", odd: bool = True) -> Generated:
    """Return a registry that depends on the seed only.

    Args:
        seed: the seed.
        prefix: the prefix of all names.
        odd: whether names, units and labels have odd words and signs.
    """
    chosen = random.Random(seed)
    registry = Registry(
        prefix,
        clock=ManualClock(),
        labels={} if chosen.random() < 0.7 else {"zone.1": chosen.choice(TEXTS[:-1])},
    )
    families = 0
    values: list[float] = []
    for position in range(chosen.randrange(8)):
        words = PLAIN_WORDS + ODD_WORDS if odd else PLAIN_WORDS
        signs = ODD_SIGNS if odd else PLAIN_SIGNS
        parts = chosen.choices(words, k=chosen.randint(1, 3))
        # Names of states that begin with underscores cannot be names of labels.
        name = chosen.choice(PLAIN_WORDS) + chosen.choice(signs) + chosen.choice(signs).join(parts)
        if registry.get(name) is not None:
            continue
        kind = chosen.choice(TABLE)
        instrument = create(kind, registry, chosen)
        unit = kind.unit or chosen.choice(ODD_UNITS if odd else UNITS)
        if not kind.unit and kind.counts and unit == "celsius":
            unit = "bytes"
        labels = chosen.choice(((), (), ("path",), ("path", "_by_code"), ("http.2xx", "_a.b")))
        value = update(instrument, 1000 + position, chosen)
        if labels:
            family = registry.family(
                name,
                kind.instrument,
                labels,
                lambda instrument=instrument: instrument,
                unit="" if kind.unit else unit,
            )
            family.labels(*[chosen.choice(TEXTS) for _ in labels])
        else:
            registry.register(name, instrument, unit="" if kind.unit else unit)
        families += len(kind.families)
        if value is not None:
            values.append(scale_of(unit).of(value))
    return Generated(registry, families, values)


def create(kind: Kind, registry: Registry, chosen: random.Random) -> Instrument:
    """Return a new instrument of a kind."""
    if kind.instrument is StateSet:
        return StateSet(chosen.sample(TEXTS[1:-1], chosen.randint(1, 3)))
    return kind.new(Defaults(5.0, registry.clock, "seconds"))


def update(instrument: Instrument, value: int, chosen: random.Random) -> int | None:
    """Update an instrument; return its value if it is one number."""
    kind = kind_of(instrument)
    assert kind is not None
    if isinstance(instrument, StateSet):
        return None
    if isinstance(instrument, Healthcheck):
        instrument.healthy()
        return None
    if kind.is_info:
        names = chosen.sample(TEXTS, chosen.randint(0, 4))
        instrument.set({name: chosen.choice(TEXTS) for name in names})
        return None
    for method in ("inc", "set", "mark", "update"):
        if method in kind.updates:
            getattr(instrument, method)(value)
            return value if method != "update" else None
    raise AssertionError(kind)
