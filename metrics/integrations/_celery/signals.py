"""Receivers of Celery's signals, and the header with the time of a message's sending."""

from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import WeakMethod

HEADER = "metrics_sent"
"""Header of a message: the time of its sending, in seconds since the Unix epoch."""

Receiver = Callable[..., None]
Connections = tuple[tuple[Any, Receiver], ...]
"""Signals and their receivers."""

keys = count(1)


def new_key() -> str:
    """Return a key for the receivers of one object.

    Without a key, Celery before 5.7 takes the methods of two objects for the same receiver.
    """
    return f"metrics_{next(keys)}"


def weak_receiver(method: Receiver, key: str) -> Receiver:
    """Return a receiver that calls a method until the object of the method is collected.

    It is connected strongly: when a weak receiver dies, Celery before 5.7 replaces the signal's
    list of receivers, but its tasks and senders keep the old one and miss later receivers.
    """
    reference = WeakMethod(method)

    def receive(signal: Any, **details: Any) -> None:
        found = reference()
        if found is None:
            signal.disconnect(dispatch_uid=key)
        else:
            found(**details)

    return receive


def mark_sent(headers: Any, seconds: float) -> None:
    """Give the message of a task the time of its sending, in its headers.

    Replaces the time of another message, whose headers a retry and some tasks pass on.
    """
    if isinstance(headers, dict):
        headers[HEADER] = seconds


def unwrap(app: Any) -> Any:
    """Return an app itself, for a proxy such as `celery.current_app`."""
    current = getattr(type(app), "_get_current_object", None)
    return app if current is None else current(app)
