"""What a machine says: waveforms and scalars, and the message that carries them.

Samples stay raw little-endian buffers here, so that edge and control need no numpy;
`features` views them without copying.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

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


@dataclass(frozen=True, slots=True)
class Waveform:
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
        if self.axis not in AXES:
            raise ValueError(f"axis must be one of {AXES}, got {self.axis!r}")
        if not 0 < self.rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"rate_hz must be in (0, {MAX_RATE_HZ:g}], got {self.rate_hz}")
        if not 0 < self.scale_g <= MAX_SCALE_G:
            raise ValueError(f"scale_g must be in (0, {MAX_SCALE_G:g}], got {self.scale_g}")
        if self.start_ns < 0:
            raise ValueError(f"start_ns must not be negative, got {self.start_ns}")
        n_bytes = len(self.samples)
        if n_bytes % SAMPLE_BYTES[self.sample_type]:
            raise ValueError(f"{n_bytes} bytes are no whole number of {self.sample_type} samples")
        if not MIN_BLOCK_SAMPLES <= self.n_samples <= MAX_BLOCK_SAMPLES:
            raise ValueError(
                f"a block holds {MIN_BLOCK_SAMPLES} to {MAX_BLOCK_SAMPLES} samples, got {self.n_samples}"
            )

    @property
    def n_samples(self) -> int:
        """Samples in this block."""
        return len(self.samples) // SAMPLE_BYTES[self.sample_type]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number of one channel, as `Temperature/bearing` (degC) or `Power/Active` (kW); NaN when unknown."""

    channel: str
    value: float
    time_ns: int

    def __post_init__(self) -> None:
        if not 0 < len(self.channel) <= MAX_METRIC_NAME_CHARS:
            raise ValueError(f"a channel name has 1 to {MAX_METRIC_NAME_CHARS} characters")


@dataclass(frozen=True, slots=True, order=True)
class MessageKey:
    """What makes a message one of a kind: the edge node, the boot of its outbox, and a 64-bit count."""

    node: str
    boot_id: int
    seq64: int


@dataclass(frozen=True, slots=True)
class Message:
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


@dataclass(frozen=True, slots=True)
class Gap:
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
