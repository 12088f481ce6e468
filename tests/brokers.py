"""A broker for the programs of Celery that tests start: files in folders, without a server."""

import json
from pathlib import Path
from time import monotonic_ns
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.filesystem import Channel, Transport


class AtomicChannel(Channel):
    """A channel whose messages are complete before another process can read them.

    Kombu's own creates a file where the other process looks, and writes it afterwards.
    """

    def _put(self, queue: str, payload: dict[str, Any], **_: object) -> None:
        # Messages are read in the order of their names.
        name = f"{monotonic_ns():020}_{uuid4()}.{queue}.msg"
        draft = Path(self.control_folder, name)
        draft.write_text(json.dumps(payload))
        draft.rename(Path(self.data_folder_out, name))


class AtomicTransport(Transport):
    """The transport of these channels."""

    Channel = AtomicChannel


TRANSPORT_ALIASES["atomic"] = f"{__name__}:AtomicTransport"


def application(folder: Path) -> Celery:
    """Make the application of a program, with its messages in subfolders of a folder."""
    queue, control = folder / "queue", folder / "control"
    for path in (queue, control):
        path.mkdir(exist_ok=True)
    app = Celery("program", broker="atomic://")
    app.conf.broker_transport_options = {
        "data_folder_in": str(queue),
        "data_folder_out": str(queue),
        "control_folder": str(control),
        "polling_interval": 0.05,
    }
    return app
