"""Collectors: instruments with values from outside of the program's own code.

A collector registers its instruments when it is created, and unregisters them when it is closed. In
between, the `Ticker` that it was added to lets it read its source once an interval.
"""

from metrics.collectors._host import HostCollector as HostCollector
from metrics.collectors._process import ProcessCollector as ProcessCollector
from metrics.collectors._runtime import RuntimeCollector as RuntimeCollector
