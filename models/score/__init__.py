"""Scoring of tables: any numeric columns in row order, one pass, no look-ahead, nothing to tune."""

from models.score.clock import ClockCheck, check_clock
from models.score.files import ScoreReport, TableError, run
from models.score.table import Scores, score_table
from models.score.words import sentence

__all__ = [
    "ClockCheck",
    "ScoreReport",
    "Scores",
    "TableError",
    "check_clock",
    "run",
    "score_table",
    "sentence",
]
