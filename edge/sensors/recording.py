"""The `recording` sensor: a file of snapshots or rows, played as if a machine sent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from edge.sensors.protocol import SensorConfigError, SensorError, Telemetry
from edge.sensors.readers import READERS, Frame, Frames, RecordingError, Wanted, ending, open_recording
from edge.sensors.settings import Settings
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_RATE_HZ, MAX_SCALE_G, MIN_BLOCK_SAMPLES
from ingest.contract.plant import Machine, Plant
from ingest.contract.values import AXES, Scalar, Waveform

SECOND_NS: Final = 1_000_000_000
TIME_UNITS: Final = ("iso", "s", "ms", "us", "ns")
TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """What the plant file says. None is left to the recording, which may know its rate, scale and period."""

    path: Path
    wanted: Wanted
    axes: tuple[str, ...]
    rate_hz: float | None
    scale_g: float | None
    period_s: float | None
    start_ns: int | None
    as_fast_as_possible: bool


class RecordingSensor:
    """A recording as a machine.

    Snapshot k is said to begin at start + k x period, or at its own time when it has one. Without a start,
    a recording played at its own pace begins now; one played as fast as possible ends now, so that nothing
    comes from the future.
    """

    SAMPLE: ClassVar[Mapping[str, Any]] = {
        "path": "recordings/pump.h5",
        "dataset": "acceleration",
        "rate_hz": 25_600.0,
        "scale_g": 0.001,
        "period_s": 10.0,
        "axes": ["x", "y"],
        "as_fast_as_possible": True,
    }

    def __init__(self, settings: RecordingSettings) -> None:
        self.settings = settings
        self._frames: Frames | None = None
        self._next = 0
        self._start_ns = settings.start_ns
        self._finished = False

    @classmethod
    def from_config(
        cls,
        _plant: Plant,
        machine: Machine,
        config: Mapping[str, Any],
        folder: Path,
        /,
    ) -> RecordingSensor:
        """The sensor of a machine. Raises SensorConfigError; opens nothing."""
        return cls(_settings(Settings(machine.id, config), folder))

    @property
    def period_ns(self) -> int:
        """Nanoseconds between two reads; 0 when played as fast as possible."""
        return 0 if self.settings.as_fast_as_possible else round(self._period_s() * SECOND_NS)

    @property
    def exhausted(self) -> bool:
        """True after the last snapshot."""
        return self._finished

    def open(self) -> None:
        """Open the file and check that its rate, scale and axes are known. Raises SensorError."""
        settings = self.settings
        try:
            self._frames = open_recording(settings.path, settings.wanted)
            self._check(self._frames)
        except RecordingError as error:
            raise SensorError(str(error)) from error

    def read(self, now_ns: int) -> Telemetry:
        """The next snapshot; empty after the last. Raises SensorError."""
        frames = self._frames
        if frames is None:
            raise SensorError(f"{self.settings.path.name} is not open.")
        if self._next >= len(frames):
            self._finished = True
            return ()
        try:
            frame = frames.frame(self._next)
            last = frames.frame(len(frames) - 1).number if self._start_ns is None else 0
        except RecordingError as error:
            raise SensorError(str(error)) from error
        if self._start_ns is None:
            length_ns = round((last + 1) * self._period_s() * SECOND_NS)
            self._start_ns = now_ns - length_ns if self.settings.as_fast_as_possible else now_ns
        self._next += 1
        self._finished = self._next >= len(frames)
        return self._telemetry(frame, self._start_ns)

    def acquire(self, _n_samples: int, _period_ns: int, /) -> bool:
        """What is recorded cannot be taken otherwise."""
        return False

    def close(self) -> None:
        """Close the file; opening it again goes on where it stood."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None

    def _telemetry(self, frame: Frame, start_ns: int) -> Telemetry:
        time_ns = frame.time_ns
        if time_ns is None:
            time_ns = start_ns + round(frame.number * self._period_s() * SECOND_NS)
        waveforms = tuple(
            Waveform(
                axis=axis,
                samples=samples,
                sample_type=frame.sample_type,
                rate_hz=self._rate_hz(),
                scale_g=self._scale_g(),
                start_ns=time_ns,
            )
            for axis, samples in zip(self.settings.axes, frame.axes, strict=False)
        )
        return (*waveforms, *(Scalar(channel, value, time_ns) for channel, value in frame.scalars.items()))

    def _check(self, frames: Frames) -> None:
        """Say at once what neither the plant file nor the recording knows."""
        first = frames.frame(0)
        if not first.axes:
            return
        name = self.settings.path.name
        if len(first.axes) > len(self.settings.axes):
            raise RecordingError(f"{name} has {len(first.axes)} axes; write axes = ... with a name for each.")
        if self.settings.rate_hz is None and frames.facts.rate_hz is None:
            raise RecordingError(f"{name} does not say its sampling rate; write rate_hz = ...")
        if first.sample_type == "int16" and self.settings.scale_g is None and frames.facts.scale_g is None:
            raise RecordingError(f"{name} holds counts and does not say their size; write scale_g = ...")

    def _rate_hz(self) -> float:
        said = self._frames.facts.rate_hz if self._frames is not None else None
        return self.settings.rate_hz or said or 1.0

    def _scale_g(self) -> float:
        said = self._frames.facts.scale_g if self._frames is not None else None
        return self.settings.scale_g or said or 1.0

    def _period_s(self) -> float:
        """Seconds between snapshots: as written, as recorded, or the length of a block."""
        said = self._frames.facts.period_s if self._frames is not None else None
        if self.settings.period_s or said:
            return self.settings.period_s or said or 1.0
        rate_hz = self._rate_hz()
        return self.settings.wanted.block_samples / rate_hz if rate_hz > 1.0 else 1.0


def _settings(settings: Settings, folder: Path) -> RecordingSettings:
    path = folder / settings.text("path")
    if ending(path) is None:
        raise settings.wrong("path", f"must end in one of {', '.join(READERS)}", str(path.name))
    axes = settings.texts("axes", AXES)
    if not axes or not set(axes) <= set(AXES) or len(set(axes)) != len(axes):
        raise settings.wrong("axes", 'must hold some of "x", "y" and "z"', axes)
    unit = settings.text("time_unit", "iso")
    if unit not in TIME_UNITS:
        raise settings.wrong("time_unit", f"must be one of {', '.join(TIME_UNITS)}", unit)
    channels = settings.table("channels")
    if not all(isinstance(one, str) and one for one in channels.values()):
        raise settings.wrong(
            "channels", 'must map columns to channels, as { temp = "Temperature/bearing" }', channels
        )
    wanted = Wanted(
        dataset=settings.text("dataset") if settings.has("dataset") else "",
        columns=settings.texts("columns", ()),
        channels=dict(channels),
        time=settings.text("time") if settings.has("time") else "",
        time_unit=unit,
        delimiter=settings.text("delimiter") if settings.has("delimiter") else "",
        block_samples=settings.whole("block_samples", 8_192, low=MIN_BLOCK_SAMPLES, high=MAX_BLOCK_SAMPLES),
    )
    made = RecordingSettings(
        path=path,
        wanted=wanted,
        axes=axes,
        rate_hz=_optional(settings, "rate_hz", 0.001, MAX_RATE_HZ),
        scale_g=_optional(settings, "scale_g", TINY, MAX_SCALE_G),
        period_s=_optional(settings, "period_s", 0.001, 7 * 86_400),
        start_ns=_start_ns(settings),
        as_fast_as_possible=settings.flag("as_fast_as_possible", False),
    )
    settings.done()
    return made


def _optional(settings: Settings, key: str, low: float, high: float) -> float | None:
    return settings.number(key, low=low, high=high) if settings.has(key) else None


def _start_ns(settings: Settings) -> int | None:
    """Sensor time of snapshot 0. In TOML: start = 2026-11-24T08:00:00Z."""
    if not settings.has("start"):
        return None
    start = settings.moment("start")
    aware = start if start.tzinfo else start.replace(tzinfo=UTC)
    if aware < datetime(1970, 1, 1, tzinfo=UTC):
        raise SensorConfigError(f"Machine {settings.machine}: start lies before 1970. Correct it.")
    return round(aware.timestamp() * 1e6) * 1_000
