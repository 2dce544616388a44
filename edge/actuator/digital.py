"""A digital output of the gateway, driven through its value file, with a feedback input that tells the truth.

Fits Linux GPIO and industrial I/O drivers that offer one file a line. Wire a contact in the machine's stop
circuit, and take the feedback from the contactor, not from the output itself.
"""

from __future__ import annotations

from pathlib import Path

from edge.actuator.outputs import RUNNING, STOPPED, UNKNOWN, OutputError


class DigitalOutput:
    """One line out, one line back."""

    def __init__(
        self,
        machine: str,
        value_path: str,
        feedback_path: str,
        stop_level: int = 1,
        stopped_level: int = 1,
    ) -> None:
        """value_path, feedback_path: files that hold 0 or 1. Raises ValueError for other levels."""
        if {stop_level, stopped_level} - {0, 1}:
            raise ValueError(f"machine {machine}: levels must be 0 or 1")
        self._value, self._feedback = Path(value_path), Path(feedback_path)
        self._stop_level, self._stopped_level = stop_level, stopped_level

    def stop(self, _by: str, /) -> None:
        """Set the line to its stop level."""
        try:
            with self._value.open("r+b", buffering=0) as line:
                line.write(f"{self._stop_level}\n".encode())
        except OSError as error:
            raise OutputError(str(error)) from error

    def observe(self) -> str:
        """Read the feedback line."""
        try:
            found = self._feedback.read_bytes().strip()
        except OSError:
            return UNKNOWN
        if found not in {b"0", b"1"}:
            return UNKNOWN
        return STOPPED if int(found) == self._stopped_level else RUNNING
