"""Messages out of scanned bytes: what the contract's `read_message` makes, only sooner and without copies."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from ingest.contract import channels as ch
from ingest.contract.limits import MAX_MESSAGE_BYTES
from ingest.contract.metrics import DataType
from ingest.contract.payload import NS_PER_MS, SAMPLE_TYPES, Birth
from ingest.contract.values import AXES, Message, MessageKey, SampleType, Scalar, Waveform
from ingest.scan import BYTES, DOUBLE, FLOAT, LONG, NULL, UNKNOWN, room, scan

_READ_DOUBLE = struct.Struct("<d").unpack_from
_READ_FLOAT = struct.Struct("<f").unpack_from
IS_BOOT, IS_SEQ, IS_SCALAR, IS_WAVE = range(4)


@dataclass(frozen=True, slots=True)
class _Role:
    """What a channel of a birth is to the quick path."""

    kind: int
    name: str
    axis: str = ""
    sample_type: SampleType = "int16"
    rate_hz: float | None = None
    scale: float | None = None
    g_per_unit: float | None = None


class Plan:
    """A birth certificate as the quick path needs it: a role by alias."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self.roles: dict[int, _Role | None] = {
            alias: _role(channel.name, channel.datatype, channel.rate_hz, channel.scale, channel.unit)
            for alias, channel in birth.by_alias.items()
        }


def _role(
    name: str, datatype: DataType, rate_hz: float | None, scale: float | None, unit: str
) -> _Role | None:
    """The role of a channel; None for what is better read by the codec."""
    if name == ch.BOOT:
        return _Role(IS_BOOT, name)
    if name == ch.SEQ:
        return _Role(IS_SEQ, name)
    if name.startswith(("Mitra/", "Node Control/")) or name == ch.BDSEQ:
        return None
    if datatype in SAMPLE_TYPES and name.startswith(ch.VIBRATION):
        axis = name[len(ch.VIBRATION) :]
        if axis not in AXES:
            return None
        if scale is None and datatype is DataType.FLOAT_ARRAY:
            scale = 1.0
        return _Role(IS_WAVE, name, axis, SAMPLE_TYPES[datatype], rate_hz, scale, ch.G_PER_UNIT.get(unit))
    return _Role(IS_SCALAR, name)


class Quick:
    """Reads messages one at a time; not for two threads at once. Making one compiles the scanner."""

    def __init__(self) -> None:
        self._rows, self._head = room()
        scan(np.frombuffer(b"", np.uint8), self._rows, self._head)

    def read(self, raw: bytes, node: str, machine: str, plan: Plan) -> tuple[Message, int | None] | None:
        """The message and its `seq`; None when the codec has to look at it. Hostile bytes never raise."""
        if len(raw) > MAX_MESSAGE_BYTES:
            return None
        n_rows = scan(np.frombuffer(raw, np.uint8), self._rows, self._head)
        if n_rows == UNKNOWN:
            return None
        try:
            message = self._message(raw, n_rows, node, machine, plan)
        except ValueError:
            return None
        if message is None:
            return None
        seq = int(self._head[1])
        return message, None if seq < 0 else seq

    def _message(self, raw: bytes, n_rows: int, node: str, machine: str, plan: Plan) -> Message | None:
        time_ns = max(0, int(self._head[0])) * NS_PER_MS
        view = memoryview(raw)
        waveforms: list[Waveform] = []
        scalars: list[Scalar] = []
        boot = seq64 = None
        historical = False
        roles = plan.roles
        for row in self._rows[:n_rows].tolist():
            alias, at_ms, kind, first, _, is_old, *_ = row
            role = roles.get(alias)
            if role is None:
                return None
            if is_old:
                historical = True
            at_ns = at_ms * NS_PER_MS if at_ms >= 0 else time_ns
            if role.kind == IS_SCALAR:
                value = _number(raw, kind, first)
                if value is None:
                    return None
                scalars.append(Scalar(role.name, value, at_ns))
            elif role.kind == IS_WAVE:
                waveform = _waveform(raw, view, row, role, at_ns)
                if waveform is None:
                    return None
                waveforms.append(waveform)
            elif kind != LONG:
                return None
            elif role.kind == IS_BOOT:
                boot = first
            else:
                seq64 = first
        key = MessageKey(node, boot, seq64) if boot is not None and seq64 is not None else None
        at = waveforms[0].start_ns if waveforms else (scalars[0].time_ns if scalars else time_ns)
        return Message(node, machine, at, tuple(waveforms), tuple(scalars), key, historical)


def _number(raw: bytes, kind: int, at: int) -> float | None:
    value: float | None = math.nan if kind == NULL else None
    if kind == DOUBLE:
        (value,) = _READ_DOUBLE(raw, at)
    elif kind == FLOAT:
        (value,) = _READ_FLOAT(raw, at)
    return value


def _waveform(raw: bytes, view: memoryview, row: list[int], role: _Role, at_ns: int) -> Waveform | None:
    _, _, kind, at, n_bytes, _, start_ns, rate_at, scale_at, in_g = row
    rate_hz = _READ_DOUBLE(raw, rate_at)[0] if rate_at >= 0 else role.rate_hz
    scale = _READ_DOUBLE(raw, scale_at)[0] if scale_at >= 0 else role.scale
    g_per_unit = 1.0 if in_g else role.g_per_unit
    if kind != BYTES or rate_hz is None or scale is None or g_per_unit is None:
        return None
    samples = view[at : at + n_bytes]
    start_ns = start_ns if start_ns >= 0 else at_ns
    return Waveform(role.axis, samples, role.sample_type, rate_hz, scale * g_per_unit, start_ns)
