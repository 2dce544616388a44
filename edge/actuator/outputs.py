"""What can be moved to stop a machine: one line a kind in OUTPUTS, loaded only when a machine uses it.

An output stops and observes; there is no start. `observe` never guesses: what cannot be read is "unknown".
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast, get_type_hints

import msgspec

from ingest.contract.approval.settings import SettingsError
from ingest.contract.explain import explain

RUNNING, STOPPED, UNKNOWN = "running", "stopped", "unknown"
Settings = Mapping[str, str | int | float | bool]


class OutputError(Exception):
    """The output could not be driven; what the machine does now must be read back."""


class Output(Protocol):
    """One machine's stop. Both calls return within a few seconds."""

    def stop(self, by: str, /) -> None:
        """Stop the machine; by: the proposal's id. Raises OutputError."""
        ...

    def observe(self) -> str:
        """RUNNING, STOPPED or UNKNOWN, read from the machine itself. Never raises OutputError."""
        ...


OUTPUTS: dict[str, str] = {
    "simulated": "edge.actuator.outputs:Simulated",
    "digital_output": "edge.actuator.digital:DigitalOutput",
    "modbus_coil": "edge.actuator.modbus:ModbusCoil",
    "opcua_method": "edge.actuator.opcua:OpcUaMethod",
}


def make_output(kind: str, machine: str, settings: Settings) -> Output:
    """The output of one machine. Raises ValueError when kind or settings are not usable."""
    if kind not in OUTPUTS:
        raise ValueError(f"machine {machine}: output must be one of {', '.join(OUTPUTS)}, got {kind!r}")
    module, _, name = OUTPUTS[kind].partition(":")
    try:
        make = cast(Callable[..., Output], getattr(importlib.import_module(module), name))
    except ImportError as error:
        raise ValueError(f"machine {machine}: output {kind} needs the extra `sensors` ({error})") from error
    _check_settings(make, kind, machine, settings)
    return make(machine, **settings)


def _check_settings(make: Callable[..., Output], kind: str, machine: str, settings: Settings) -> None:
    """Raises SettingsError for a key that this output does not know, lacks, or cannot use."""
    hints = get_type_hints(make.__init__)
    known = {name: one for name, one in inspect.signature(make).parameters.items() if name != "machine"}
    place = f"machine {machine}, output {kind}"
    for name, value in settings.items():
        if name not in known:
            raise SettingsError(f"{place}: unknown key {name}; known are {', '.join(known)}")
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            raise SettingsError(explain(str(error), place=f"{place}: {name}")) from error
    for name, one in known.items():
        if name not in settings and one.default is inspect.Parameter.empty:
            raise SettingsError(f"{place}: missing key {name} under [machine.settings]")


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that a reader, or a power cut, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Simulated:
    """A simulated machine's switch: `{switch_dir}/{machine}.json`, which its simulated sensors read."""

    def __init__(self, machine: str, switch_dir: str) -> None:
        """switch_dir: a folder that this process may write and the simulated sensors may read."""
        self._path = switch_path(Path(switch_dir), machine)

    def stop(self, by: str) -> None:
        """Write run = false."""
        try:
            write_atomically(
                self._path, json.dumps({"run": False, "by": by, "at": int(time.time())}).encode()
            )
        except OSError as error:
            raise OutputError(str(error)) from error

    def observe(self) -> str:
        """Read the switch. A machine without a switch file has never been stopped."""
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return RUNNING
        except (OSError, ValueError):
            return UNKNOWN
        run = found.get("run") if isinstance(found, dict) else None
        return {True: RUNNING, False: STOPPED}.get(run, UNKNOWN) if isinstance(run, bool) else UNKNOWN


def switch_path(switch_dir: Path, machine: str) -> Path:
    """Where a simulated machine's switch is."""
    return switch_dir / f"{machine}.json"


def restart_at_the_machine(switch_dir: Path, machine: str, person: str) -> None:
    """A person standing at a simulated machine starts it again. Nothing remote calls this."""
    write_atomically(
        switch_path(switch_dir, machine),
        json.dumps({"run": True, "by": person, "at": int(time.time())}).encode(),
    )
