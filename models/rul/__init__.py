"""Remaining useful life learnt from runs to failure."""

from models.rul.files import ModelFileError, run_predict, run_train
from models.rul.life import RulModel, RulPrediction, predict, predict_rows, train
from models.rul.table import Runs, RunTableError, read_runs

__all__ = [
    "ModelFileError",
    "RulModel",
    "RulPrediction",
    "RunTableError",
    "Runs",
    "predict",
    "predict_rows",
    "read_runs",
    "run_predict",
    "run_train",
    "train",
]
