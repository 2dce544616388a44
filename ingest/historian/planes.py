"""Samples laid out so that they compress: all low bytes, then all high ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.contract.values import SAMPLE_BYTES, SampleType


def planes(samples: bytes, sample_type: SampleType) -> bytes:
    """Samples with their low bytes first and their high bytes after: what zstd can use.

    >>> unplanes(planes(bytes([1, 0, 2, 0]), "int16"), "int16")
    b'\\x01\\x00\\x02\\x00'
    """
    width = SAMPLE_BYTES[sample_type]
    split: NDArray[np.uint8] = np.frombuffer(samples, np.uint8).reshape(-1, width)
    return split.T.tobytes()


def unplanes(stored: bytes, sample_type: SampleType) -> bytes:
    """The samples that `planes` was given."""
    width = SAMPLE_BYTES[sample_type]
    split: NDArray[np.uint8] = np.frombuffer(stored, np.uint8).reshape(width, -1)
    return split.T.tobytes()
