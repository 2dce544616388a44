"""The agent's TOML file. An unknown key is an error; relative paths start at the file's own folder."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from edge.outbox import OutboxLimits
from ingest.contract.explain import explained, unreadable
from ingest.contract.ids import ID_PATTERN

Id = Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN}$")]
IdOrNone = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,64}$")]
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class ConfigError(ValueError):
    """The configuration cannot be used; the message says which key and what to write."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is. ca, cert, key: PEM files, used with TLS only; empty ca trusts the system's."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file.

    plant: path of the plant file; gateway: the id there whose machines this agent reads; broker:
    `mqtt://user:password@host:1883` or `mqtts://...:8883`; data_dir: folder of this agent alone; host_id:
    primary host to wait for, empty for none; mqtt_version: "3.1.1" or "5"; until_drained: end once every
    recording has ended and the host has stored everything; aliases: false sends every metric by name, for
    hosts that cannot read aliases.
    """

    plant: str
    gateway: Id
    broker: str
    data_dir: str
    host_id: IdOrNone = "mitra"
    mqtt_version: Literal["3.1.1", "5"] = "3.1.1"
    outbox_max_mb: Annotated[float, msgspec.Meta(ge=1, le=10_000_000)] = 4096
    outbox_max_age_h: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 336
    outbox_min_free_mb: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 64
    ca: str = ""
    cert: str = ""
    key: str = ""
    until_drained: bool = False
    aliases: bool = True

    @property
    def limits(self) -> OutboxLimits:
        """What the outbox may take."""
        mib = 1024 * 1024
        return OutboxLimits(
            max_bytes=int(self.outbox_max_mb * mib),
            max_age_h=self.outbox_max_age_h,
            min_free_bytes=int(self.outbox_min_free_mb * mib),
            by_name=not self.aliases,
        )

    def broker_address(self) -> Broker:
        """The broker's URL taken apart. Raises ConfigError."""
        try:
            url = urlsplit(self.broker)
            port = url.port
        except ValueError as error:
            raise ConfigError(
                "broker must look like mqtt://user:password@host:1883 or mqtts://host:8883, "
                "with a port of 1..65535"
            ) from error
        if url.scheme not in _PORTS or not url.hostname or url.path not in {"", "/"} or url.query:
            raise ConfigError(
                f"broker must look like mqtt://user:password@host:1883 or mqtts://host:8883, got "
                f"{url.scheme}://{url.hostname or ''}{url.path}"
            )
        tls = url.scheme == "mqtts"
        if not tls and (self.ca or self.cert or self.key):
            raise ConfigError("ca, cert and key need a broker that starts with mqtts://")
        if bool(self.cert) != bool(self.key):
            raise ConfigError("cert and key belong together: give both or none")
        return Broker(
            url.hostname,
            port or _PORTS[url.scheme],
            unquote(url.username or ""),
            unquote(url.password or ""),
            tls,
            self.ca,
            self.cert,
            self.key,
        )


def parse_config(text: str, folder: Path, source: str = "the edge configuration") -> AgentConfig:
    """Read a configuration's text; relative paths are resolved against folder. Raises ConfigError.

    >>> parse_config("gateway = 'gw-1'", Path("."))
    Traceback (most recent call last):
    ...
    edge.config.ConfigError: the edge configuration: the key 'plant' is missing
    """
    try:
        told: dict[str, Any] = tomllib.loads(text)
        for name in ("plant", "data_dir", "ca", "cert", "key"):
            if isinstance(told.get(name), str) and told[name]:
                told[name] = str(folder / told[name])
        config = msgspec.convert(told, AgentConfig)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}; correct that line") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {explained(error, AgentConfig)}") from error
    config.broker_address()
    return config


def load_config(path: Path) -> AgentConfig:
    """Read a configuration file. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The edge configuration {unreadable(path, error)}") from error
    return parse_config(text, path.parent.resolve(), str(path))
