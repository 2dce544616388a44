"""From a suspicious row to a diagnosis with its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.diagnosis.rules import UNKNOWN, Diagnosis, diagnose
from models.diagnosis.sensor import sensor_fault
from models.diagnosis.view import view_of
from models.explain.reasons import reasons_of_evidence

if TYPE_CHECKING:
    from ingest.contract.plant import Machine
    from ingest.contract.rows import FeatureRow, Reason
    from models.rows import Judged


def suspect(row: FeatureRow, machine: Machine, judged: Judged) -> tuple[Diagnosis, list[Reason]]:
    """Diagnose a row that the kernel calls suspicious: a sensor's fault first, then the machine's."""
    i = judged.i
    threshold = max(judged.lists.threshold[i], 1e-9)
    evidence, level = judged.verdicts.evidence[i], judged.verdicts.level[i]
    view = view_of(row, machine, judged.layout, evidence, threshold, level)
    diagnosis = sensor_fault(view) or diagnose(view)
    reasons = reasons_of_evidence(judged.layout, view.ratio, level)
    if diagnosis.fault != UNKNOWN:
        reasons = [*diagnosis.reasons, *reasons]
    return diagnosis, reasons[:5]
