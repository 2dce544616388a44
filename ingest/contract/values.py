"""What a machine says: waveforms and scalars, and the message that carries them.

Samples stay raw little-endian buffers here, so that edge and control need no numpy; `features` reads them
where they lie. Values that come with every message are msgspec structs: building one costs a tenth of what a
frozen dataclass asks (docs/decisions/0011).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ingest.contract.ids import check_id
from ingest.contract.limits import (
    MAX_BLOCK_SAMPLES,
    MAX_METRIC_NAME_CHARS,
    MAX_RATE_HZ,
    MAX_SCALE_G,
    MIN_BLOCK_SAMPLES,
)

SampleType: TypeAlias = Literal["int16", "float32"]
Samples: TypeAlias = bytes | memoryview
SAMPLE_BYTES: dict[SampleType, int] = {"int16": 2, "float32": 4}
AXES = ("x", "y", "z")


class Waveform(msgspec.Struct, frozen=True, gc=False):
    """One axis of one block of vibration.

    samples: (n,) counts as a little-endian buffer of `sample_type`; scale_g: g per count;
    start_ns: sensor time of the first sample, ns since the epoch.
    Raises ValueError for a rate, scale or length out of the limits.
    """

    axis: str
    samples: Samples
    sample_type: SampleType
    rate_hz: float
    scale_g: float
    start_ns: int

    def __post_init__(self) -> None:
        n_samples, n_odd = divmod(len(self.samples), SAMPLE_BYTES[self.sample_type])
        if (
            n_odd
            or not MIN_BLOCK_SAMPLES <= n_samples <= MAX_BLOCK_SAMPLES
            or not 0 < self.rate_hz <= MAX_RATE_HZ
            or not 0 < self.scale_g <= MAX_SCALE_G
            or self.start_ns < 0
            or self.axis not in AXES
        ):
            raise ValueError(_why_not(self))

    @property
    def n_samples(self) -> int:
        """Samples in this block."""
        return len(self.samples) // SAMPLE_BYTES[self.sample_type]


def _why_not(waveform: Waveform) -> str:
    """What is out of the limits of a waveform."""
    if waveform.axis not in AXES:
        return f"axis must be one of {AXES}, got {waveform.axis!r}"
    if not 0 < waveform.rate_hz <= MAX_RATE_HZ:
        return f"rate_hz must be in (0, {MAX_RATE_HZ:g}], got {waveform.rate_hz}"
    if not 0 < waveform.scale_g <= MAX_SCALE_G:
        return f"scale_g must be in (0, {MAX_SCALE_G:g}], got {waveform.scale_g}"
    if waveform.start_ns < 0:
        return f"start_ns must not be negative, got {waveform.start_ns}"
    n_bytes = len(waveform.samples)
    if n_bytes % SAMPLE_BYTES[waveform.sample_type]:
        return f"{n_bytes} bytes are no whole number of {waveform.sample_type} samples"
    return f"a block holds {MIN_BLOCK_SAMPLES} to {MAX_BLOCK_SAMPLES} samples, got {waveform.n_samples}"


class Scalar(msgspec.Struct, frozen=True, gc=False):
    """One number of one channel, as `Temperature/bearing` (degC) or `Power/Active` (kW); NaN when unknown."""

    channel: str
    value: float
    time_ns: int

    def __post_init__(self) -> None:
        if not 0 < len(self.channel) <= MAX_METRIC_NAME_CHARS:
            raise ValueError(f"a channel name has 1 to {MAX_METRIC_NAME_CHARS} characters")


class MessageKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """What makes a message one of a kind: the edge node, the boot of its outbox, and a 64-bit count."""

    node: str
    boot_id: int
    seq64: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """What one machine sent at one moment. key is None for edge nodes that know no outbox.

    thinned: the outbox, being full, took its waveforms out.
    """

    node: str
    machine: str
    time_ns: int
    waveforms: tuple[Waveform, ...]
    scalars: tuple[Scalar, ...]
    key: MessageKey | None = None
    historical: bool = False
    thinned: bool = False

    def __post_init__(self) -> None:
        check_id(self.node, "edge node")
        check_id(self.machine, "machine")
        if self.time_ns < 0:
            raise ValueError(f"time_ns must not be negative, got {self.time_ns}")


class Gap(msgspec.Struct, frozen=True, gc=False):
    """What an edge node declares as gone: messages it accepted but can no longer deliver.

    It travels under a key of its own, so that it is committed like any message.
    """

    node: str
    machine: str
    from_ns: int
    to_ns: int
    n_messages: int
    reason: str
    key: MessageKey | None = None

    def __post_init__(self) -> None:
        if self.n_messages <= 0 or self.from_ns > self.to_ns:
            raise ValueError("a gap covers at least one message and does not end before it starts")
