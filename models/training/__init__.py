"""Batch training: reproducible from data hash and seed, judged on machines that were not trained on."""

from models.training.card import card
from models.training.content import from_files, to_files
from models.training.detectors import KINDS
from models.training.files import Lessons, compare, gate_lines, read_golden, read_history, train_challenger
from models.training.frame import Frame, data_hash, join, targets
from models.training.replay import GoldenStretch, evaluation, golden_answers
from models.training.shadow import ShadowReport, shadow
from models.training.train import BatchModel, Trained, TrainingError, train

__all__ = [
    "KINDS",
    "BatchModel",
    "Frame",
    "GoldenStretch",
    "Lessons",
    "ShadowReport",
    "Trained",
    "TrainingError",
    "card",
    "compare",
    "data_hash",
    "evaluation",
    "from_files",
    "gate_lines",
    "golden_answers",
    "join",
    "read_golden",
    "read_history",
    "shadow",
    "targets",
    "to_files",
    "train",
    "train_challenger",
]
