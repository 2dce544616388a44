"""Feature extractors of others, in an environment of their own. `benchmarks.features` runs it.

Usage: python peers.py NAME N_SAMPLES. Prints one JSON object: MS/s and the number of features.
Imports nothing of ours.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Blocks = NDArray[np.float32]
    Run = Callable[[], int]

RATE_HZ = 25_600
ROUNDS = 5


def _tsfresh_minimal(blocks: Blocks) -> Run:
    pandas, tsfresh = importlib.import_module("pandas"), importlib.import_module("tsfresh")
    settings = importlib.import_module("tsfresh.feature_extraction").MinimalFCParameters()
    n_blocks, n = blocks.shape
    frame = pandas.DataFrame({"id": np.repeat(np.arange(n_blocks), n), "value": blocks.ravel()})

    def run() -> int:
        return int(
            tsfresh.extract_features(
                frame,
                column_id="id",
                column_value="value",
                default_fc_parameters=settings,
                n_jobs=0,
                disable_progressbar=True,
            ).shape[1]
        )

    return run


def _tsfel(domain: str) -> Callable[[Blocks], Run]:
    def prepare(blocks: Blocks) -> Run:
        tsfel = importlib.import_module("tsfel")
        settings = tsfel.get_features_by_domain(domain)

        def run() -> int:
            for block in blocks:
                found = tsfel.time_series_features_extractor(settings, block, fs=RATE_HZ, verbose=0)
            return int(found.shape[1])

        return run

    return prepare


def _tsflex(blocks: Blocks) -> Run:
    pandas, features = importlib.import_module("pandas"), importlib.import_module("tsflex.features")
    stats = importlib.import_module("scipy.stats")
    functions = [np.mean, np.std, np.min, np.max, np.ptp, np.median, stats.skew, stats.kurtosis]
    n = blocks.shape[1]
    series = pandas.Series(blocks.ravel(), name="vibration")
    collection = features.FeatureCollection(
        features.MultipleFeatureDescriptors(functions, series_names="vibration", windows=n, strides=n)
    )

    def run() -> int:
        return int(collection.calculate(series, n_jobs=1, return_df=True).shape[1])

    return run


def _pycatch22(blocks: Blocks) -> Run:
    pycatch22 = importlib.import_module("pycatch22")
    lists = [block.astype(float).tolist() for block in blocks]

    def run() -> int:
        for values in lists:
            found = pycatch22.catch22_all(values)
        return len(found["values"])

    return run


PEERS = {
    "tsfresh_minimal": (_tsfresh_minimal, 16),
    "tsfel_statistical": (_tsfel("statistical"), 4),
    "tsfel_spectral": (_tsfel("spectral"), 2),
    "tsflex": (_tsflex, 16),
    "pycatch22": (_pycatch22, 4),
}


def main() -> None:
    name, n = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    prepare, n_blocks = PEERS[name]
    blocks = np.random.default_rng(0).normal(size=(n_blocks, n)).astype(np.float32)
    run = prepare(blocks)
    n_features = run()
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"ms_s": blocks.size / min(seconds) / 1e6, "n_features": n_features}))


if __name__ == "__main__":
    main()
