"""Instruments whose values come from the outside: the machine, this process, the interpreter.

A collector registers its instruments when it is made and takes them out again when it is closed.
In between, a `Ticker` it was added to has it read the outside once an interval.
"""

from metrics.collectors._host import HostCollector
from metrics.collectors._process import ProcessCollector
from metrics.collectors._runtime import RuntimeCollector

__all__ = ["HostCollector", "ProcessCollector", "RuntimeCollector"]
