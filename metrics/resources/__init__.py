"""Hooks of the resources that containers declare: registry, ticker, instruments and collectors.

Each hook is a plain context manager: entering registers and starts, exiting unregisters and stops.
A container declares `Resource(resources.meter, registry, "rpc/requests")`; other code writes
`with resources.meter(registry, "rpc/requests") as requests:`. The hooks of reporters are in
`metrics.reporters`, one module for each kind of server.

All hooks but `registry` and `ticker` take the registry first. The hooks of instruments go on with
the arguments of the registry's method of the same name, singular for one instrument and plural for
a family: `resources.timers(registry, "rpc/duration", labels=("method",))`. They always create a new
instrument: a container that declares a name twice does not start.

The registry's ticker ticks meters, timers and the like; `ticker=` replaces it for one resource. An
option of `registry` and `ticker` may be None, as an unset configuration option is, or text, as
`metrics.options` reads it: "500ms", "off".

In a forked process these resources go on: the child has the same ticker, registry and instruments,
and cumulative instruments start at zero there. Reporters and servers do not survive a fork.
"""

from metrics.registry._inner import Shortcuts as _Shortcuts
from metrics.resources._collectors import Collector as Collector
from metrics.resources._collectors import host as host
from metrics.resources._collectors import process as process
from metrics.resources._collectors import runtime as runtime
from metrics.resources._collectors import ticked as ticked
from metrics.resources._foundation import registry as registry
from metrics.resources._foundation import ticker as ticker
from metrics.resources._shortcut_hooks import hook as _hook
from metrics.resources._shortcut_hooks import needs_ticker as _needs_ticker
from metrics.resources._shortcut_hooks import stop_check as _stop_check

counter = _hook(_Shortcuts.counter)
counters = _hook(_Shortcuts.counters)
float_counter = _hook(_Shortcuts.float_counter)
float_counters = _hook(_Shortcuts.float_counters)
updown_counter = _hook(_Shortcuts.updown_counter)
updown_counters = _hook(_Shortcuts.updown_counters)
float_updown_counter = _hook(_Shortcuts.float_updown_counter)
float_updown_counters = _hook(_Shortcuts.float_updown_counters)
gauge = _hook(_Shortcuts.gauge)
gauges = _hook(_Shortcuts.gauges)
int_gauge = _hook(_Shortcuts.int_gauge)
int_gauges = _hook(_Shortcuts.int_gauges)
info = _hook(_Shortcuts.info)
infos = _hook(_Shortcuts.infos)
state_set = _hook(_Shortcuts.state_set)
state_sets = _hook(_Shortcuts.state_sets)
meter = _needs_ticker(_hook(_Shortcuts.meter))
meters = _needs_ticker(_hook(_Shortcuts.meters))
histogram = _needs_ticker(_hook(_Shortcuts.histogram))
histograms = _needs_ticker(_hook(_Shortcuts.histograms))
bucket_histogram = _hook(_Shortcuts.bucket_histogram)
bucket_histograms = _hook(_Shortcuts.bucket_histograms)
timer = _needs_ticker(_hook(_Shortcuts.timer))
timers = _needs_ticker(_hook(_Shortcuts.timers))
resetting_timer = _hook(_Shortcuts.resetting_timer)
resetting_timers = _hook(_Shortcuts.resetting_timers)
healthcheck = _hook(_Shortcuts.healthcheck, stop=_stop_check)
healthchecks = _hook(_Shortcuts.healthchecks)
family = _hook(_Shortcuts.family)
registered = _hook(_Shortcuts.register, "registered")
