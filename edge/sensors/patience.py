"""A failing sensor is retried with a growing, jittered pause, and says why it is silent."""

from __future__ import annotations

import random

from edge.sensors.protocol import Sensor, SensorError, Telemetry

FIRST_PAUSE_NS = 1_000_000_000
LONGEST_PAUSE_NS = 60_000_000_000


class Patient:
    """A sensor that never raises for reasons outside the code.

    `trouble` is the reason of the last failure, or None while the source answers; `failures` counts all
    failures since the start. The pause doubles from 1 s to 60 s and varies by a quarter either way, so
    that a hundred sensors behind one switch do not knock at the same moment.
    """

    def __init__(self, sensor: Sensor, seed: int = 0) -> None:
        self.sensor = sensor
        self.trouble: str | None = None
        self.failures = 0
        self._is_open = False
        self._pause_ns = FIRST_PAUSE_NS
        self._not_before_ns = 0
        self._random = random.Random(seed)  # noqa: S311  # jitter, not a secret

    @property
    def period_ns(self) -> int:
        """Nanoseconds between two reads; while the source fails never less than one second."""
        if self.trouble is not None:
            return max(self.sensor.period_ns, FIRST_PAUSE_NS)
        return self.sensor.period_ns

    @property
    def exhausted(self) -> bool:
        """True when nothing will ever follow."""
        return self.sensor.exhausted

    def open(self) -> None:
        """Nothing to do: the first read connects, so that one dead source never delays the others."""

    def read(self, now_ns: int) -> Telemetry:
        """What the machine says at `now_ns`; empty while the source fails or the pause lasts."""
        if now_ns < self._not_before_ns <= now_ns + 2 * LONGEST_PAUSE_NS:
            return ()
        try:
            if not self._is_open:
                self.sensor.open()
                self._is_open = True
            telemetry = self.sensor.read(now_ns)
        except SensorError as trouble:
            self._fail(str(trouble), now_ns)
            return ()
        self.trouble = None
        self._pause_ns = FIRST_PAUSE_NS
        return telemetry

    def acquire(self, n_samples: int, period_ns: int) -> bool:
        """Longer or denser waveforms, when the source can; 0 goes back to the configuration."""
        return self.sensor.acquire(n_samples, period_ns)

    def close(self) -> None:
        """Let go of the source."""
        self._is_open = False
        self.sensor.close()

    def _fail(self, reason: str, now_ns: int) -> None:
        self.trouble = reason
        self.failures += 1
        self._is_open = False
        self.sensor.close()
        self._not_before_ns = now_ns + int(self._pause_ns * self._random.uniform(0.75, 1.25))
        self._pause_ns = min(2 * self._pause_ns, LONGEST_PAUSE_NS)
