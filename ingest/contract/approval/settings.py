"""Configuration tables -> frozen values. An unknown key is an error: no misspelt safety setting passes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from ingest.contract.explain import explain, unreadable

T = TypeVar("T")


class SettingsError(ValueError):
    """A configuration that cannot be used; the message says what to change."""


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file. Raises SettingsError with a sentence that says what to do."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(unreadable(path, error)) from error


def tables_of(table: Mapping[str, Any], name: str) -> list[Any]:
    """The [[name]] tables of a file; none when it has none. Raises SettingsError.

    >>> tables_of({"site": 4}, "site")
    Traceback (most recent call last):
    ...
    ingest.contract.approval.settings.SettingsError: site must be written as [[site]] tables, got 4
    """
    found = table.get(name, [])
    if not isinstance(found, list):
        raise SettingsError(f"{name} must be written as [[{name}]] tables, got {found!r}")
    return found


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """Name the file in what is wrong with it. Raises SettingsError."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def check_port(port: int, name: str = "port") -> None:
    """Raises SettingsError for what is no TCP port."""
    if not 0 < port < 65_536:
        raise SettingsError(f"{name} must be 1..65535, got {port}")


def build(kind: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
    """A value of kind from a table. Raises SettingsError for an unknown, missing or impossible key.

    >>> build(BrokerSettings, {"hots": "localhost"}, "broker.")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ingest.contract.approval.settings.SettingsError: unknown key broker.hots; known are host, port, ...
    >>> build(BrokerSettings, {"host": "localhost", "port": "1883"}, "broker.")
    Traceback (most recent call last):
    ...
    ingest.contract.approval.settings.SettingsError: broker.port must be a whole number, got text in quotes
    """
    if not isinstance(table, Mapping):
        raise SettingsError(f"{prefix.rstrip('.')} must be a table of its own, got {table!r}")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    check_known(kind, table, prefix)
    for name, one in known.items():
        if name not in table and one.default is MISSING and one.default_factory is MISSING:
            raise SettingsError(f"missing key {prefix}{name}")
    _check_types(kind, table, prefix)
    try:
        return kind(**table)
    except SettingsError:
        raise
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{prefix or 'file: '}{error}") from error


def check_known(kind: type[Any], table: Mapping[str, Any], prefix: str = "") -> None:
    """Raises SettingsError for a key that a kind of table does not have."""
    known = [one.name for one in fields(kind)]
    for name in table:
        if name not in known:
            raise SettingsError(f"unknown key {prefix}{name}; known are {', '.join(known)}")


def _check_types(kind: type[Any], table: Mapping[str, Any], prefix: str) -> None:
    """A text where a truth belongs would count as true: allow_software_keys = "false" must not pass."""
    hints = get_type_hints(kind)
    for name, value in table.items():
        if is_dataclass(value) or (isinstance(value, tuple) and value and is_dataclass(value[0])):
            continue  # built and checked already
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            raise SettingsError(explain(str(error), place=prefix + name)) from error


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
        check_port(self.port, "broker.port")
