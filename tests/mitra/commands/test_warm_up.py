"""What `mitra warm-up` leaves for later: nothing that a stream, a message or a score has to wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ON_ITS_OWN = {"models.online.covariance._learn", "models.online.covariance._score"}
"""Kernels of `EwCovariance`, which no running plant makes: the panel calls what is inside them."""
COLD = """
import importlib, pkgutil, sys
import numba.core.dispatcher as made
from mitra.commands.warm_up import compile_all
import features, ingest, models
for package in (features, ingest, models):
    for one in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)
compile_all()
kernels = {
    f"{name}.{key}"
    for name, module in list(sys.modules.items())
    if name.split(".")[0] in ("features", "ingest", "models")
    for key, value in vars(module).items()
    if isinstance(value, made.Dispatcher) and value.__module__ == name and not value.signatures
    and value.targetoptions.get("inline") != "always"
}
print(*sorted(kernels), sep="\\n")
"""


@pytest.mark.full
@pytest.mark.timeout(400)  # everything is compiled anew
def test_no_kernel_is_left_to_be_compiled(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", COLD],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=380,
        check=True,
    )
    assert set(found.stdout.split()) == ON_ITS_OWN
