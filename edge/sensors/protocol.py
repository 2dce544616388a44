"""What the agent asks of every source of telemetry, and how a source says that it cannot answer."""

from __future__ import annotations

from typing import Protocol

from ingest.contract.values import Scalar, Waveform

Telemetry = tuple[Waveform | Scalar, ...]


class SensorConfigError(ValueError):
    """The plant file asks for a sensor that cannot be built; the message says which key and what to write."""


class SensorError(Exception):
    """The source cannot be read now (cable, address, file); the message says what to look at."""


class Sensor(Protocol):
    """The telemetry of one machine; one read is one message.

    A sensor is built from the plant file without touching the world; `open` connects. `read` and `open`
    raise `SensorError` when the source fails, and nothing else for reasons outside the code. The agent
    never meets that exception: `edge.sensors.build` wraps every sensor in `Patient`, which retries with
    a growing pause and shows the reason as `trouble`.
    """

    @property
    def period_ns(self) -> int:
        """Nanoseconds between two reads; 0 asks for reads as fast as the outbox accepts them."""

    @property
    def exhausted(self) -> bool:
        """True when nothing will ever follow: a recording has ended."""

    def open(self) -> None:
        """Connect or open; may be called again after `close`."""

    def read(self, now_ns: int) -> Telemetry:
        """What the machine says at `now_ns` (sensor time, Unix ns); empty when there is nothing new."""

    def acquire(self, n_samples: int, period_ns: int, /) -> bool:
        """The host asks for longer or denser waveforms; 0 goes back to the configuration.

        Returns False when the source cannot do otherwise than it does.
        """

    def close(self) -> None:
        """Let go of the source; a closed sensor may be opened again. Closing twice is harmless."""
