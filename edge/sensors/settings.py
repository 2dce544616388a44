"""Reading a sensor's table of the plant file: what is unknown, missing or impossible is said at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from edge.sensors.protocol import SensorConfigError


class Settings:
    """The `[machine.sensor]` table of one machine, key by key; `done` refuses keys that nobody asked for."""

    def __init__(self, machine: str, table: Mapping[str, Any]) -> None:
        self.machine = machine
        self._table = dict(table)
        self._asked: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        self._asked.add(key)
        return key in self._table

    def text(self, key: str, default: str | None = None) -> str:
        """A string that is not empty, or the default."""
        value = self._get(key, default)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "must be text", value)
        return value

    def number(self, key: str, default: float | None = None, *, low: float, high: float) -> float:
        """A number in [low, high], or the default."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(key, "must be a number", value)
        if not low <= value <= high:
            raise self.wrong(key, f"must be from {low:g} to {high:g}", value)
        return float(value)

    def whole(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        """A whole number in [low, high], or the default."""
        value = self.number(key, default, low=low, high=high)
        if value != int(value):
            raise self.wrong(key, "must be a whole number", value)
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """true or false, or the default."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false", value)
        return value

    def moment(self, key: str) -> datetime:
        """A date and time, as 2026-11-24T08:00:00Z."""
        value = self._get(key, None)
        if not isinstance(value, datetime):
            raise self.wrong(key, "must be a date and time as 2026-11-24T08:00:00Z", value)
        return value

    def table(self, key: str) -> Mapping[str, Any]:
        """A table of its own; empty when it is not there."""
        value = self._get(key, {})
        if not isinstance(value, Mapping):
            raise self.wrong(key, "must be a table", value)
        return value

    def tables(self, key: str) -> Sequence[Mapping[str, Any]]:
        """A list of tables; empty when it is not there."""
        value = self._get(key, [])
        if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
            raise self.wrong(key, "must be a list of tables", value)
        return value

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of strings, or the default."""
        value = self._get(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "must be a list of texts", value)
        return tuple(value)

    def inner(self, key: str, table: Mapping[str, Any]) -> Settings:
        """The settings of a table inside this one, which name it in their messages."""
        return Settings(f"{self.machine}, {key}", table)

    def done(self) -> None:
        """Refuse keys that no sensor of this kind knows."""
        unknown = sorted(set(self._table) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise SensorConfigError(
                f"Machine {self.machine}: its sensor table has the unknown key {unknown[0]!r}. "
                f"Correct or remove it; the keys are {known}."
            )

    def wrong(self, key: str, must: str, value: object) -> SensorConfigError:
        """The error for a key whose value cannot be used."""
        return SensorConfigError(
            f"Machine {self.machine}: {key} in its sensor table {must}, but it is {value!r}. "
            "Until it is corrected this machine stays silent."
        )

    def _get(self, key: str, default: object) -> object:
        self._asked.add(key)
        if key in self._table:
            return self._table[key]
        if default is None:
            raise SensorConfigError(
                f"Machine {self.machine}: its sensor table lacks the key {key!r}. Add it; without it this "
                "machine stays silent."
            )
        return default
