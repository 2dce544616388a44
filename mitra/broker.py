"""The embedded broker: nats-server from its PyPI wheel, with an MQTT 3.1.1 listener.

It is enough for a plant on one machine; a big plant names its own broker by URL (`docs/broker.md`).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.contract.limits import MAX_MESSAGE_BYTES
from mitra.accounts import Account


class NoBrokerError(RuntimeError):
    """nats-server is not there; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """Where one embedded broker lives."""

    folder: Path
    port: int
    host: str = "127.0.0.1"

    @property
    def config(self) -> Path:
        """The configuration that nats-server is started with."""
        return self.folder / "broker.conf"


def program() -> str:
    """Path of nats-server. Raises NoBrokerError."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NoBrokerError(
            "The embedded broker (nats-server) is not installed, so nothing can be received. "
            "Install it with `pip install 'ayo-mitra[server]'`, or name a broker with --broker mqtt://host:1883."
        )
    return found


def subject(topic_filter: str) -> tuple[str, ...]:
    """NATS subjects of an MQTT topic filter; a trailing `#` also means its parent.

    >>> subject("spBv1.0/plant-1/#")
    ('spBv1//0.plant-1', 'spBv1//0.plant-1.>')
    >>> subject("spBv1.0/plant-1/NCMD/+")
    ('spBv1//0.plant-1.NCMD.*',)
    """
    levels = [level.replace(".", "//") for level in topic_filter.split("/")]
    if levels[-1] == "#":
        parent = ".".join(levels[:-1])
        return parent, f"{parent}.>"
    return (".".join("*" if level == "+" else level for level in levels),)


def configuration(files: BrokerFiles, listed: Iterable[Account], secret: Mapping[str, str]) -> str:
    """Text of broker.conf (JSON is valid there)."""
    users = [
        {
            "user": account.user,
            "password": secret[account.user],
            "permissions": {
                "publish": [one for topic in account.publish for one in subject(topic)],
                "subscribe": [one for topic in account.subscribe for one in subject(topic)],
            },
        }
        for account in listed
    ]
    settings = {
        "server_name": "mitra",
        "listen": f"{files.host}:-1",
        "max_payload": MAX_MESSAGE_BYTES,
        "max_pending": 8 * MAX_MESSAGE_BYTES,
        "write_deadline": "10s",
        "jetstream": {"store_dir": str(files.folder / "store"), "max_memory_store": 64 << 20},
        "mqtt": {"listen": f"{files.host}:{files.port}", "max_ack_pending": 1000},
        "authorization": {"users": users},
    }
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in settings.items()) + "\n"


def prepare(files: BrokerFiles, listed: Iterable[Account], secret: Mapping[str, str]) -> list[str]:
    """Write the configuration (mode 0600) and return the command that starts the broker."""
    files.folder.mkdir(parents=True, exist_ok=True)
    files.config.touch(mode=0o600, exist_ok=True)
    files.config.write_text(configuration(files, tuple(listed), secret), "utf-8")
    return [program(), "-c", str(files.config)]
