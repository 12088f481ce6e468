"""Compiles the hot core of the library where that is possible, all of it or nothing.

`pip install .` compiles with mypyc. Without a C compiler, or when the compilation fails half way,
the same source is installed as it is and runs interpreted; one line says so, and why.
`WIRED_METRICS_PURE=1` asks for that. An editable installation is never compiled, because compiled
modules would stand in front of the source that is edited.
"""

import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

CORE = [
    "metrics/entries.py",
    "metrics/exporters/forms.py",
    "metrics/exporters/layout.py",
    "metrics/exporters/prometheus.py",
    "metrics/exporters/units.py",
    "metrics/instruments/arguments.py",
    "metrics/instruments/buckets.py",
    "metrics/instruments/counter.py",
    "metrics/instruments/durations.py",
    "metrics/instruments/ewma.py",
    "metrics/instruments/expdecay.py",
    "metrics/instruments/family.py",
    "metrics/instruments/gauge.py",
    "metrics/instruments/healthcheck.py",
    "metrics/instruments/histogram.py",
    "metrics/instruments/info.py",
    "metrics/instruments/meter.py",
    "metrics/instruments/reservoir.py",
    "metrics/instruments/resetting.py",
    "metrics/instruments/resetting_timer.py",
    "metrics/instruments/sample.py",
    "metrics/instruments/snapshot.py",
    "metrics/instruments/timer.py",
    "metrics/instruments/uniform.py",
    "metrics/ticker.py",
    "metrics/turns.py",
]


def interpreted(reason: str) -> None:
    """Say that the library is installed without being compiled."""
    # pip shows what a build prints only with -v, or when it goes to the terminal itself.
    sys.stderr.write(f"wired-metrics: not compiled, runs interpreted: {reason}\n")


def extensions() -> list:
    """Return the extension modules to compile: none, if that was asked for or is impossible."""
    # The same file is run for the metadata, for an sdist and for an editable installation too.
    if not {"bdist_wheel", "build", "build_ext"} & set(sys.argv):
        return []
    if os.environ.get("WIRED_METRICS_PURE", "0") not in {"", "0"}:
        interpreted("WIRED_METRICS_PURE is set")
        return []
    try:
        from mypyc.build import mypycify  # noqa: PLC0415
    except ImportError as error:
        interpreted(f"mypyc is not there ({error})")
        return []
    try:
        return mypycify(["--strict", *CORE], group_name="wired_metrics", strip_asserts=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the source works
        interpreted(f"mypyc failed ({error})")
        return []


class AllOrNothing(build_ext):
    """Builds every extension module, or leaves none behind."""

    def run(self) -> None:
        """Build, and fall back to the source."""
        try:
            super().run()
        except Exception as error:  # noqa: BLE001 - a compiler's errors have no base of their own
            for path in self.get_outputs():
                Path(path).unlink(missing_ok=True)
            self.extensions.clear()
            # The wheel was taken for one with compiled modules, and would be tagged so.
            if "bdist_wheel" in self.distribution.command_obj:
                self.get_finalized_command("bdist_wheel").root_is_pure = True
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            interpreted(f"the C compiler failed ({reason})")


setup(ext_modules=extensions(), cmdclass={"build_ext": AllOrNothing})
