"""Configuration tables -> frozen values. An unknown key is an error: no misspelt safety setting passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


class SettingsError(ValueError):
    """A configuration that cannot be used; the message says what to change."""


def build(kind: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
    """A value of kind from a table. Raises SettingsError for an unknown, missing or impossible key.

    >>> build(BrokerSettings, {"hots": "localhost"}, "broker.")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ingest.contract.approval.settings.SettingsError: unknown key broker.hots; known are host, port, ...
    """
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise SettingsError(f"unknown key {prefix}{name}; known are {', '.join(known)}")
    for name, one in known.items():
        if name not in table and one.default is MISSING and one.default_factory is MISSING:
            raise SettingsError(f"missing key {prefix}{name}")
    try:
        return kind(**table)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{prefix or 'file: '}{error}") from error


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """`[broker]`. protocol: "3.1.1" or "5"; tls_ca turns TLS on; password_file wins over password."""

    host: str
    port: int = 1883
    username: str = ""
    password: str = ""
    password_file: str = ""
    client_id: str = ""
    protocol: str = "3.1.1"
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        if self.protocol not in ("3.1.1", "5"):
            raise SettingsError(f'broker.protocol must be "3.1.1" or "5", got {self.protocol!r}')
        if not 0 < self.port < 65_536:
            raise SettingsError(f"broker.port must be 1..65535, got {self.port}")
