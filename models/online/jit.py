"""How the model kernels are compiled.

Exact arithmetic, so that a replay gives the same bits as the live run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")


def compiled(function: Function) -> Function:
    """Compile with numba: no GIL, cached on disk, no fast math (a sum keeps its order).

    numba notices changes of a function's own file only: after an edit of a callee in another file, touch the
    caller's.
    """
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
