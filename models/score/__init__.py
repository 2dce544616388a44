"""Scoring of tables: any numeric columns in row order, one pass, no look-ahead, nothing to tune."""

from models.score.files import ScoreReport, TableError, run
from models.score.table import Scores, score_table
from models.score.words import sentence

__all__ = ["ScoreReport", "Scores", "TableError", "run", "score_table", "sentence"]
