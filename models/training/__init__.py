"""Batch training: reproducible from data hash and seed, judged on machines that were not trained on."""

from models.training.card import card
from models.training.content import from_files, to_files
from models.training.detectors import KINDS
from models.training.frame import Frame, data_hash, join, targets
from models.training.replay import GoldenStretch, evaluation
from models.training.train import BatchModel, Trained, TrainingError, train

__all__ = [
    "KINDS",
    "BatchModel",
    "Frame",
    "GoldenStretch",
    "Trained",
    "TrainingError",
    "card",
    "data_hash",
    "evaluation",
    "from_files",
    "join",
    "targets",
    "to_files",
    "train",
]
