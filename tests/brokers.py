"""A broker for the programs of Celery that tests start: files in folders, without a server."""

import json
from pathlib import Path
from time import monotonic_ns
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.filesystem import Channel, Transport


class WholeChannel(Channel):
    """A channel whose messages appear whole.

    Kombu's own writes where another process reads, which may take an empty file for a message.
    """

    def _put(self, queue: str, payload: dict[str, Any], **_: object) -> None:
        # The order of their names is that in which messages are read.
        name = f"{monotonic_ns():020}_{uuid4()}.{queue}.msg"
        draft = Path(self.control_folder, name)
        draft.write_text(json.dumps(payload))
        draft.rename(Path(self.data_folder_out, name))


class WholeTransport(Transport):
    """The transport of these channels."""

    Channel = WholeChannel


TRANSPORT_ALIASES["whole"] = f"{__name__}:WholeTransport"


def application(folder: Path) -> Celery:
    """Make the application of a program, whose messages are files in folders of this one."""
    queue, control = folder / "queue", folder / "control"
    for path in (queue, control):
        path.mkdir(exist_ok=True)
    app = Celery("program", broker="whole://")
    app.conf.broker_transport_options = {
        "data_folder_in": str(queue),
        "data_folder_out": str(queue),
        "control_folder": str(control),
        "polling_interval": 0.05,
    }
    return app
