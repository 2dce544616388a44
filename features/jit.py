"""One place that says how the numeric kernels are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")

# NaN and infinity keep their meaning: a NaN must come out as NaN, whatever the sums look like inside.
_FASTMATH = {"nsz", "arcp", "contract", "reassoc"}


def compiled(function: Function) -> Function:
    """Compile `function` with numba: no GIL, cached on disk (NUMBA_CACHE_DIR, else beside the module).

    numba notices changes of a function's own file only. After an edit to `fft.py` or another kernel part,
    touch `kernel.py` or remove the cache, or the old code stays inlined in it.
    """
    return cast(
        "Function", numba.njit(cache=True, nogil=True, fastmath=_FASTMATH, error_model="numpy")(function)
    )


def inlined(function: Function) -> Function:
    """Compile `function` into its callers, before LLVM sees them: small pieces of inner loops."""
    return cast(
        "Function", numba.njit(inline="always", nogil=True, fastmath=_FASTMATH, error_model="numpy")(function)
    )
