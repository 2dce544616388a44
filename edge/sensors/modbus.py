"""The `modbus` sensor: registers of a Modbus TCP meter, drive or PLC."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, cast

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge.sensors.protocol import SensorConfigError, SensorError, Telemetry
from edge.sensors.scaled import Scaled, scaled
from edge.sensors.settings import Settings
from ingest.contract.limits import MAX_METRICS
from ingest.contract.plant import Machine, Plant

SECOND_NS: Final = 1_000_000_000
FORMATS: Final = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
"""Register types, big-endian within a register; `word_order` says which register comes first."""
TABLES: Final = ("holding", "input")
LONGEST_READ: Final = 120
WIDEST_HOLE: Final = 8
Order = Literal["big", "little"]


@dataclass(frozen=True, slots=True)
class Register:
    """A number in a device. address: of its first register, counted from 0."""

    table: str
    device_id: int
    address: int
    type: str
    order: Order
    target: Scaled

    @property
    def n_registers(self) -> int:
        """How many 16-bit registers it takes."""
        return struct.calcsize(">" + FORMATS[self.type]) // 2


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring registers that one request reads."""

    registers: tuple[Register, ...]

    @property
    def first(self) -> int:
        """Address of the first register."""
        return self.registers[0].address

    @property
    def count(self) -> int:
        """Registers to read."""
        return max(one.address + one.n_registers for one in self.registers) - self.first


def spans(registers: Sequence[Register]) -> tuple[Span, ...]:
    """As few requests as reach all registers: neighbours up to 8 apart, at most 120 registers each."""
    groups: list[list[Register]] = []
    for one in sorted(registers, key=lambda r: (r.table, r.device_id, r.address)):
        if groups:
            first, last = groups[-1][0], groups[-1][-1]
            same = (first.table, first.device_id) == (one.table, one.device_id)
            near = one.address - (last.address + last.n_registers) <= WIDEST_HOLE
            if same and near and one.address + one.n_registers - first.address <= LONGEST_READ:
                groups[-1].append(one)
                continue
        groups.append([one])
    return tuple(Span(tuple(group)) for group in groups)


def decode(words: Sequence[int], kind: str, order: Order) -> float:
    """The number in 16-bit registers.

    >>> decode([0x42F6, 0xE979], "float32", "big"), decode([0xFFFE], "int16", "big")
    (123.456..., -2.0)
    """
    ordered = words if order == "big" else words[::-1]
    (value,) = struct.unpack(">" + FORMATS[kind], struct.pack(f">{len(ordered)}H", *ordered))
    return float(value)


class ModbusSensor:
    """Registers of one machine, read together once a period."""

    SAMPLE: ClassVar[Mapping[str, Any]] = {
        "host": "192.168.1.20",
        "port": 502,
        "device_id": 1,
        "period_s": 1.0,
        "registers": [
            {"channel": "Power/Active", "address": 0, "type": "float32"},
            {
                "channel": "Temperature/winding",
                "address": 40,
                "type": "int16",
                "scale": 0.1,
                "table": "input",
            },
        ],
    }

    def __init__(
        self, host: str, port: int, registers: Sequence[Register], *, period_s: float, timeout_s: float
    ) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._spans = spans(registers)
        self._period_ns = round(period_s * SECOND_NS)
        self._client: ModbusTcpClient | None = None

    @classmethod
    def from_config(
        cls,
        _plant: Plant,
        machine: Machine,
        config: Mapping[str, Any],
        _folder: Path,
        /,
    ) -> ModbusSensor:
        """The sensor of a machine. Raises SensorConfigError; connects to nothing."""
        settings = Settings(machine.id, config)
        host = settings.text("host")
        port = settings.whole("port", 502, low=1, high=65_535)
        device_id = settings.whole("device_id", 1, low=0, high=255)
        order = _order(settings)
        period_s = settings.number("period_s", 1.0, low=0.05, high=86_400)
        timeout_s = settings.number("timeout_s", 3.0, low=0.1, high=60)
        entries = settings.tables("registers")
        settings.done()
        if not 1 <= len(entries) <= MAX_METRICS:
            raise SensorConfigError(
                f"Machine {machine.id}: its sensor reads {len(entries)} registers; name 1 to {MAX_METRICS} "
                "under [[machine.sensor.registers]]."
            )
        registers = [_register(settings.inner("registers", one), device_id, order) for one in entries]
        return cls(host, port, registers, period_s=period_s, timeout_s=timeout_s)

    @property
    def period_ns(self) -> int:
        """Nanoseconds between two reads."""
        return self._period_ns

    @property
    def exhausted(self) -> bool:
        """A device never ends."""
        return False

    def open(self) -> None:
        """Connect. Raises SensorError."""
        client = ModbusTcpClient(self._host, port=self._port, timeout=self._timeout_s, retries=0)
        self._client = client
        if not client.connect():
            raise SensorError(
                f"No Modbus device answers at {self._host}:{self._port}. Check its power, cable and address."
            )

    def read(self, now_ns: int) -> Telemetry:
        """All registers of the machine. Raises SensorError."""
        if self._client is None:
            raise SensorError("The Modbus connection is closed.")
        found = []
        for span in self._spans:
            words = self._words(self._client, span)
            for one in span.registers:
                start = one.address - span.first
                raw = decode(words[start : start + one.n_registers], one.type, one.order)
                found.append(one.target.scalar(raw, now_ns))
        return tuple(found)

    def acquire(self, _n_samples: int, _period_ns: int, /) -> bool:
        """A meter has no waveforms to give."""
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _words(self, client: ModbusTcpClient, span: Span) -> list[int]:
        first = span.registers[0]
        ask = client.read_holding_registers if first.table == "holding" else client.read_input_registers
        last = span.first + span.count - 1
        where = f"{self._host}:{self._port}, {first.table} registers {span.first} to {last}"
        try:
            answer = ask(span.first, count=span.count, device_id=first.device_id)
        except (ModbusException, OSError) as error:
            raise SensorError(f"{where}: no answer ({error}). Check the cable and the device.") from error
        if answer.isError() or len(answer.registers) < span.count:
            raise SensorError(f"{where}: the device refuses ({answer}). Check address, table and device_id.")
        return list(answer.registers)


def _order(settings: Settings) -> Order:
    order = settings.text("word_order", "big")
    if order not in ("big", "little"):
        raise settings.wrong("word_order", "must be big or little", order)
    return cast(Order, order)


def _register(settings: Settings, device_id: int, order: Order) -> Register:
    kind, table = settings.text("type"), settings.text("table", "holding")
    if kind not in FORMATS:
        raise settings.wrong("type", f"must be one of {', '.join(FORMATS)}", kind)
    if table not in TABLES:
        raise settings.wrong("table", f"must be one of {', '.join(TABLES)}", table)
    register = Register(
        table=table,
        device_id=settings.whole("device_id", device_id, low=0, high=255),
        address=settings.whole("address", low=0, high=65_535),
        type=kind,
        order=order,
        target=scaled(settings),
    )
    settings.done()
    return register
