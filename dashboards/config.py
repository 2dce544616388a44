"""What the screens are told at start: a frozen TOML file, unknown keys refused.

Parsing is pure (text in, `ScreensConfig` out); reading files is `__main__`'s.
"""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from ingest.contract.explain import explained, unreadable

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class ConfigError(ValueError):
    """The configuration of the screens cannot be used; the message says why and what to do."""


class ScreensConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`python -m dashboards --config FILE`; paths are relative to the file's own folder.

    plant: plant file; journal: what ingest writes (read only here); desk: what people say (written here
    only); history_dir: Parquet segments; registry_dir: model registry; users: accounts, "" for none;
    session_file: key of sessions, made at the first start; ledger: machine hours, made again when deleted;
    baseline_from, baseline_to: the declared baseline period; language "": that of the plant file.
    """

    plant: str
    journal: str
    desk: str
    history_dir: str = ""
    registry_dir: str = ""
    users: str = ""
    session_file: str = "screens.session"
    ledger: str = "screens-ledger.db"
    baseline_from: date | None = None
    baseline_to: date | None = None
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""
    control_url: str = ""
    language: Literal["", "id", "en"] = ""
    open_roles: bool = False
    looking_needs_name: bool = False
    stale_after_s: Seconds = 5.0
    live_every_s: Annotated[float, msgspec.Meta(ge=0.05, le=10)] = 0.2
    max_viewers: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500

    @property
    def origin(self) -> str:
        """Scheme, host and port that a browser uses for these screens."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS, so that cookies may demand it."""
        return self.origin.startswith("https://")


def parse_config(text: str, folder: Path, source: str = "the screens' configuration") -> ScreensConfig:
    """Read the TOML text; relative paths become those under `folder`. Raises ConfigError.

    >>> parse_config("plant = 'p'", Path("/etc/mitra"))
    Traceback (most recent call last):
    ...
    dashboards.config.ConfigError: the screens' configuration: the key 'journal' is missing
    """
    try:
        config = msgspec.convert(tomllib.loads(text), ScreensConfig)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(unreadable(source, error)) from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {explained(error, ScreensConfig)}") from error
    for key in ("public_url", "control_url"):
        _check_url(key, getattr(config, key), source)
    if (config.baseline_from is None) != (config.baseline_to is None) or (
        config.baseline_from and config.baseline_to and config.baseline_from >= config.baseline_to
    ):
        raise ConfigError(
            f"{source}: baseline_from and baseline_to are two days, the first before the second; "
            "without both there is no savings claim"
        )
    if config.open_roles and config.host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"{source}: open_roles lets anybody act without a password, so it works on 127.0.0.1 only; "
            "set host = '127.0.0.1' or give people accounts in `users`"
        )
    paths = ("plant", "journal", "desk", "history_dir", "registry_dir", "users", "session_file", "ledger")
    return msgspec.structs.replace(
        config,
        **{key: str(folder / getattr(config, key)) for key in paths if getattr(config, key)},
    )


def _check_url(key: str, value: str, source: str) -> None:
    if not value:
        return
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{source}: {key} must be a web address as https://plant.example, got {value!r}")
