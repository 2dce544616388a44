"""Models: champion and challenger side by side, with intervals, data window and hash; who changed what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from dashboards.language import N_
from dashboards.registry_files import Family, families, metric
from dashboards.visit import Visit, page, visit
from ingest.contract.actions import ActionKind, Verdict
from ingest.contract.rows import AlarmState

router = APIRouter()
Found = Annotated[Visit, Depends(visit)]
MAX_ALARMS = 500
MIN_FAILURES = 5
METRICS: dict[str, str] = {
    "precision": N_("Precision"),
    "recall": N_("Recall"),
    "lead_time_h": N_("Lead time, h"),
    "lead_hours": N_("Lead time, h"),
    "false_alarms_per_machine_month": N_("False alarms per machine-month"),
    "rmse": N_("Error (RMSE)"),
    "coverage": N_("Coverage of the interval"),
    "auc": N_("Area under the ROC curve"),
    "f1": N_("F1"),
}
STEPS: dict[str, str] = {
    "first": N_("became the first champion"),
    "challenge": N_("challenges"),
    "promote": N_("was promoted"),
    "rollback": N_("came back by rollback"),
}


def _families(found: Visit) -> tuple[Family, ...]:
    folder = found.house.config.registry_dir
    return families(Path(folder)) if folder else ()


@router.get("/models", include_in_schema=False)
def models_page(found: Found) -> Response:
    """The evidence for promotion."""
    with found.house.source.reader() as reader:
        alarms = reader.alarms(open_only=False, limit=MAX_ALARMS)
    verdicts: Counter[str] = Counter()
    for alarm in alarms:
        for action in found.house.desk.about(alarm_id=alarm.alarm_id, limit=20):
            if action.kind is ActionKind.VERDICT:
                verdicts[str(action.values.get("verdict", ""))] += 1
                break
    running = Counter(now.judgement.model for now in found.moment.picture.machines.values() if now.judgement)
    return page(
        found,
        "models.html",
        families=_families(found),
        metric=metric,
        metric_names=METRICS,
        steps=STEPS,
        verdicts=verdicts,
        verdict_codes=[one.value for one in Verdict],
        n_alarms=len(alarms),
        n_open=sum(alarm.last.state is not AlarmState.NORMAL for alarm in alarms),
        running=running.most_common(),
        min_failures=MIN_FAILURES,
    )


@router.get("/api/models", tags=["models"], summary="The registry")
def models_json(found: Found) -> Response:
    """Names, aliases, data windows and figures with intervals."""
    return JSONResponse(
        [
            {
                "name": one.name,
                "champion": one.champion.version if one.champion else None,
                "challenger": one.challenger.version if one.challenger else None,
                "broken": list(one.broken),
                "versions": [
                    {
                        "version": version.version,
                        "kind": version.kind,
                        "created_ns": version.created_ns,
                        "data_sha256": version.data_sha256,
                        "data_from_ns": version.data_from_ns,
                        "data_to_ns": version.data_to_ns,
                        "metrics": [
                            {
                                "name": figure.name,
                                "group": figure.group,
                                "value": figure.value,
                                "interval": [figure.lower, figure.upper],
                                "count": figure.count,
                            }
                            for figure in version.metrics
                        ],
                    }
                    for version in one.versions
                ],
            }
            for one in _families(found)
        ]
    )
