"""Recorded telemetry as it arrived: in the order of arrival, with the clocks of the devices, with its dirt.

Nothing is mended here: what becomes of duplicates, wrong clocks and holes is the stream's to decide.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from ingest.contract.rejected import Rejected
from ingest.contract.values import Message, MessageKey, Scalar

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
SEQUENCE_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as a gateway heard it.

    received_ns: when it arrived; device_ns: what its own clock said, equal to received_ns when it has none;
    sequence: the device's running number, 0 to 255, or -1 when it has none.
    """

    machine: str
    received_ns: int
    device_ns: int
    sequence: int
    scalars: Mapping[str, float]

    def message(self, node: str) -> Message:
        """The message of an edge node that passes on the device's own clock and number.

        Every device is a node of its own, for clocks are judged by node. The key is made of the device's
        number and clock, so that a re-send by sensor, sequence and device time is the same message.
        """
        key = None
        if self.sequence >= 0:
            seconds = self.device_ns // NS_PER_S
            key = MessageKey(f"{node}-{self.machine}", 1, seconds << SEQUENCE_BITS | self.sequence)
        scalars = tuple(Scalar(channel, value, self.device_ns) for channel, value in self.scalars.items())
        return Message(f"{node}-{self.machine}", self.machine, self.device_ns, (), scalars, key)


@dataclass(frozen=True, slots=True)
class SensorLog:
    """Columns of a log of wireless sensors. channels: column -> (channel, scale)."""

    received_ms: str
    sensor: str
    sequence: str
    device_s: str
    channels: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def _axis(name: str) -> dict[str, tuple[str, float]]:
    low = name.lower()
    return {
        f"{name}OAVelocity": (f"Overall/{low}/velocity_raw", 1.0),
        f"{name}Peakmg": (f"Overall/{low}/peak_g", 1e-3),
        f"{name}RMSmg": (f"Overall/{low}/rms_g", 1e-3),
        f"{name}Kurtosis": (f"Overall/{low}/kurtosis_raw", 1.0),
        f"{name}CrestFactor": (f"Overall/{low}/crest_raw", 1.0),
    }


FACTORY_LOG: Final = SensorLog(
    received_ms="Timestamp",
    sensor="SensorID",
    sequence="SequenceNumber",
    device_s="DeviceTime",
    channels={
        **_axis("X"),
        **_axis("Y"),
        **_axis("Z"),
        "TempHumiSenVal": ("Temperature/raw_counts", 1.0),
        "DeviceBatteryVolt": ("Battery/voltage_v", 1e-3),
    },
)
"""The wireless vibration sensors of the Xeptagon factory set; quantities without a stated unit say so."""


def sensor_log(path: Path, columns: SensorLog = FACTORY_LOG) -> Iterator[Arrival | Rejected]:
    """Messages of a sensor log, row by row. Raises ValueError when the file has not these columns."""
    needed = (columns.received_ms, columns.sensor, columns.sequence, columns.device_s, *columns.channels)
    for row in _rows(path, needed):
        if isinstance(row, Rejected):
            yield row
            continue
        received_ms, sensor, sequence, device_s, *values = row
        times = [_number(one) for one in (received_ms, device_s, sequence)]
        if any(math.isnan(one) or one < 0 for one in times):
            yield Rejected("no_number", ",".join(row)[:120])
            continue
        scalars = {
            channel: value * scale
            for (channel, scale), text in zip(columns.channels.values(), values, strict=True)
            if not math.isnan(value := _number(text))
        }
        received, device, number = times
        yield Arrival(
            sensor, int(received) * NS_PER_MS, int(device * 1_000) * NS_PER_MS, int(number) % 256, scalars
        )


def _rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, ...] | Rejected]:
    """The needed cells of every row; a header that strayed among them, or a short row, is Rejected."""
    with _text(path) as file:
        lines = csv.reader(file)
        header = next(lines, [])
        missing = [name for name in needed if name not in header]
        if missing:
            raise ValueError(f"{path.name} has no column {missing[0]!r}; it has: {', '.join(header)[:300]}")
        places = [header.index(name) for name in needed]
        for row in lines:
            if row == header:
                yield Rejected("stray_header", path.name)
            elif len(row) != len(header):
                yield Rejected("row_length", ",".join(row)[:120])
            else:
                yield tuple(row[place] for place in places)


def _text(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
