"""Lists of numbers from foreign sources, packed as the waveforms of the contract."""

from __future__ import annotations

import array
import sys
from typing import Any, Final

from edge.sensors.scaled import WaveSource
from ingest.contract.values import SampleType, Waveform

INT16: Final = range(-32_768, 32_768)


def waveform(source: WaveSource, samples: list[Any], start_ns: int) -> Waveform | None:
    """One axis: int16 when every sample is a whole number that fits, else float32.

    None when a sample is no number.

    >>> waveform(WaveSource("x", 1000.0, 0.001), [1, -1] * 128, 0).sample_type
    'int16'
    """
    is_int16 = all(type(one) is int and one in INT16 for one in samples)
    sample_type: SampleType = "int16" if is_int16 else "float32"
    try:
        packed = array.array("h" if is_int16 else "f", samples)
    except (TypeError, OverflowError):
        return None
    if sys.byteorder == "big":
        packed.byteswap()
    return Waveform(
        axis=source.axis,
        samples=packed.tobytes(),
        sample_type=sample_type,
        rate_hz=source.rate_hz,
        scale_g=source.scale_g,
        start_ns=start_ns,
    )
