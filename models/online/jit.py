"""How the model kernels are compiled.

Exact arithmetic, so that a replay gives the same bits as the live run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numba

import features
import models
from features.kernel_cache import forget_stale

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")

forget_stale(Path(models.__path__[0]), Path(features.__path__[0]))


def compiled(function: Function) -> Function:
    """Compile with numba: no GIL, cached as in `features.jit`, no fast math (a sum keeps its order)."""
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
