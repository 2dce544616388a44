"""Vibration features of blocks of one axis: the public face of the fused kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.fft

from features import kernel
from features.fft import Settings
from features.kernel import SETTINGS
from features.table import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from features.bearings import Orders
    from features.moments import Samples

Columns: TypeAlias = "NDArray[np.float32]"

_NO_SPECTRA = np.empty((0, 0), np.complex64)
_SUB_BATCH = 16
"""Blocks of a length that is no power of two are transformed this many at a time, to stay in the cache."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a machine and does not change from block to block; None = unknown, and so not judged.

    speed_hz: nominal shaft speed, used where a message brings none. band_hz: the band to demodulate, from
    `kurtogram.best_band` if it was searched; else 1/8 to 5/16 of the rate.
    """

    orders: Orders | None = None
    gear_teeth: int = 0
    vanes: int = 0
    mains_hz: float | None = 50.0
    band_hz: tuple[float, float] | None = None
    speed_hz: float | None = None
    rated_power_kw: float | None = None
    temperature_limit_c: float | None = None
    known: tuple[float, ...] = field(init=False, repr=False, compare=False)
    """The nominal speed and what the kernel is told of every block."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", _known(self))
        if self.band_hz is not None and not 0 <= self.band_hz[0] < self.band_hz[1]:
            raise ValueError(f"band_hz must rise, got {self.band_hz}")
        if self.speed_hz is not None and self.speed_hz <= 0:
            raise ValueError(f"speed_hz must be positive, got {self.speed_hz}")
        if self.gear_teeth < 0 or self.vanes < 0:
            raise ValueError("gear_teeth and vanes count, so they are not negative")


def _known(facts: Facts) -> tuple[float, ...]:
    """The nominal speed, and the settings that do not change from block to block; NaN where unknown."""
    nan = np.nan
    orders = facts.orders
    lines = (nan, nan, nan, nan) if orders is None else (orders.bpfo, orders.bpfi, orders.bsf, orders.ftf)
    return (
        nan if facts.speed_hz is None else facts.speed_hz,
        *lines,
        facts.gear_teeth or nan,
        facts.vanes or nan,
        nan if facts.mains_hz is None else facts.mains_hz,
        *((nan, nan) if facts.band_hz is None else facts.band_hz),
    )


NOTHING_KNOWN = Facts(mains_hz=None)


def settings_of(
    facts: Sequence[Facts],
    rate_hz: ArrayLike,
    scale_g: ArrayLike,
    speed_hz: ArrayLike = np.nan,
) -> Settings:
    """The kernel's settings of each block, (len(facts), len(SETTINGS)) in their order.

    rate_hz, scale_g, speed_hz: one, or one a block; a speed that is not positive takes the nominal one.

    >>> settings_of([Facts(mains_hz=60.0)], 25_600, 1e-3, 24.8)[0, :3].tolist()
    [0.001, 25600.0, 24.8]
    """
    settings = np.empty((len(facts), len(SETTINGS)))
    settings[:, 0], settings[:, 1] = scale_g, rate_hz
    if facts:
        settings[:, 2:] = [fact.known for fact in facts]
    told = np.broadcast_to(np.asarray(speed_hz, np.float64), (len(facts),))
    np.copyto(settings[:, 2], told, where=told > 0)
    return settings


def extract_axis(
    blocks: Samples, rate_hz: float, scale_g: float, speed_hz: NDArray[np.float64] | float, facts: Facts
) -> Columns:
    """Features of blocks (n_blocks, n_samples), int16 counts or float32, of one axis of one kind of machine.

    speed_hz: shaft speed, one or (n_blocks,); NaN = unknown. Returns (n_blocks, len(FEATURES)) float32.
    Raises ValueError for a rate or scale that is not positive and for blocks below 256 samples.

    >>> turns = np.arange(2048) / 2048
    >>> tone = np.sin(2 * np.pi * 50 * turns).astype(np.float32)[None]
    >>> row = extract_axis(tone, 2048, 1.0, 50.0, Facts())[0]
    >>> names = [feature.name for feature in FEATURES]
    >>> round(float(row[names.index("order_1_g")]), 4), round(float(row[names.index("peak_1_hz")]), 2)
    (1.0, 50.0)
    """
    if not rate_hz > 0 or not scale_g > 0:
        raise ValueError(f"rate_hz and scale_g must be positive, got {rate_hz} and {scale_g}")
    return extract_blocks(blocks, settings_of([facts] * blocks.shape[0], rate_hz, scale_g, speed_hz))


def extract_blocks(blocks: Samples, settings: Settings) -> Columns:
    """Features of blocks (n_blocks, n_samples) of any machines. settings: (n_blocks, len(SETTINGS)).

    The last sample of an odd block is left out. A row does not depend on the blocks beside it.
    """
    n_blocks, n = blocks.shape
    if settings.shape != (n_blocks, len(SETTINGS)):
        raise ValueError(f"settings must be ({n_blocks}, {len(SETTINGS)}), got {settings.shape}")
    blocks = _ready(blocks[:, : n - n % 2])
    plan = kernel.plan(blocks.shape[1])
    out = np.empty((n_blocks, len(FEATURES)), np.float32)
    tables = (plan.own_fft, plan.main, plan.unpacking, plan.inverse, plan.envelope)
    if plan.own_fft:
        kernel.run(blocks, settings, _NO_SPECTRA, *tables, out)
        return out
    for start in range(0, n_blocks, _SUB_BATCH):
        part = slice(start, start + _SUB_BATCH)
        kernel.run(blocks[part], settings[part], _spectra(blocks[part]), *tables, out[part])
    return out


def _ready(blocks: Samples) -> Samples:
    """What the compiled signatures take: int16 or float32, in C order, writable."""
    kind = np.int16 if blocks.dtype == np.int16 else np.float32
    return np.require(blocks, kind, ("C", "A", "W"))


def _spectra(blocks: Samples) -> NDArray[np.complex64]:
    """(n_blocks, n / 2 + 1) complex64 of the blocks without their mean; zeros where a block is not finite."""
    wave = blocks.astype(np.float32)
    bad = ~np.isfinite(wave).all(axis=1)
    wave[bad] = 0
    wave -= wave.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    spectra: NDArray[np.complex64] = scipy.fft.rfft(wave, axis=1)
    return spectra


def warm_up() -> None:
    """Compile every signature of the kernel: some 20 s the first time, half a second from the cache."""
    settings = settings_of([NOTHING_KNOWN], 1_024, 1.0)
    extract_blocks(np.zeros((1, 256), np.int16), settings)
    extract_blocks(np.zeros((1, 256), np.float32), settings)
