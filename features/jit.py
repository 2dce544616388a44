"""One place that says how the numeric kernels are compiled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numba

from features.kernel_cache import forget_stale

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")

forget_stale(Path(__file__).parent)

# NaN and infinity keep their meaning: a NaN must come out as NaN, whatever the sums look like inside.
_FASTMATH = {"nsz", "arcp", "contract", "reassoc"}


def compiled(function: Function) -> Function:
    """Compile `function` with numba: no GIL, cached on disk beside the module until any source there changes.

    With NUMBA_CACHE_DIR the cache lies elsewhere, and whoever sets it removes it after an edit.
    """
    return cast(
        "Function", numba.njit(cache=True, nogil=True, fastmath=_FASTMATH, error_model="numpy")(function)
    )


def inlined(function: Function) -> Function:
    """Compile `function` into its callers, before LLVM sees them: small pieces of inner loops."""
    return cast(
        "Function", numba.njit(inline="always", nogil=True, fastmath=_FASTMATH, error_model="numpy")(function)
    )
