"""Models: champion and challenger side by side, what drifts, and a person's decision with its answer."""

from __future__ import annotations

import secrets
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Response
from fastapi.responses import JSONResponse, RedirectResponse

from dashboards.decisions import CAME, MIN_FAULTS, check_words, decisions, faults_behind
from dashboards.language import N_
from dashboards.models_now import by_feature, read_models_now
from dashboards.problems import Problem
from dashboards.registry_files import Family, answers, families, metric
from dashboards.say import note_of, say
from dashboards.visit import Visit, keep_session, page, visit
from dashboards.words import channel
from ingest.contract.actions import ActionKind, Verdict
from ingest.contract.rows import AlarmState
from ingest.views import AlarmView

router = APIRouter()
Found = Annotated[Visit, Depends(visit)]
MAX_ALARMS = 500
MAX_DECISIONS = 200
SHOWN_DECISIONS = 5
MIN_REASON = 10
MIN_FAILURES = 5
METRICS: dict[str, str] = {
    "precision": N_("Precision"),
    "recall": N_("Recall"),
    "lead_time_h": N_("Lead time, h"),
    "lead_hours": N_("Lead time, h"),
    "false_alarms_per_machine_month": N_("False alarms per machine-month"),
    "false_alarm_days": N_("Machine-days with a false alarm, share"),
    "brier": N_("Error of the probability (Brier)"),
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
    "refuse": N_("was refused"),
}
MAX_DRIFT = 8
LEVELS: dict[str, str] = {"score": N_("anomaly score"), "health": N_("health")}
KINDS: dict[str, ActionKind] = {
    "promote": ActionKind.PROMOTE_MODEL,
    "roll-back": ActionKind.ROLL_BACK_MODEL,
    "refuse": ActionKind.REFUSE_MODEL,
}


def _folder(found: Visit) -> Path | None:
    return Path(found.house.config.registry_dir) if found.house.config.registry_dir else None


def _families(found: Visit) -> tuple[Family, ...]:
    folder = _folder(found)
    return families(folder) if folder else ()


def _verdicts(found: Visit) -> tuple[tuple[AlarmView, ...], Counter[str]]:
    """The newest alarms, and how often technicians gave each verdict on them."""
    with found.house.source.reader() as reader:
        alarms = reader.alarms(open_only=False, limit=MAX_ALARMS)
    verdicts: Counter[str] = Counter()
    for alarm in alarms:
        for action in found.house.desk.about(alarm_id=alarm.alarm_id, limit=20):
            if action.kind is ActionKind.VERDICT:
                verdicts[str(action.values.get("verdict", ""))] += 1
                break
    return alarms, verdicts


def _tools(found: Visit, verdicts: Counter[str]) -> dict[str, Any]:
    """What the templates of decisions call."""
    folder = _folder(found)
    answered = answers(folder) if folder else {}
    said = found.house.desk.about(machine="", limit=MAX_DECISIONS)
    return {
        "decided": lambda name: decisions(name, said, answered)[:SHOWN_DECISIONS],
        "came": CAME,
        "check_words": lambda check: check_words(check, found.language),
        "fresh_id": lambda: secrets.token_hex(12),
        "min_faults": MIN_FAULTS,
        "min_reason": MIN_REASON,
        "faults_behind": lambda family: faults_behind(family, verdicts[Verdict.CONFIRMED.value]),
    }


@router.get("/models", include_in_schema=False)
def models_page(found: Found) -> Response:
    """The evidence for promotion."""
    alarms, verdicts = _verdicts(found)
    now = read_models_now(Path(found.house.config.journal))
    running = Counter(now.judgement.model for now in found.moment.picture.machines.values() if now.judgement)
    return page(
        found,
        "models.html",
        families=_families(found),
        now=now,
        drift=by_feature(now.drift) if now else {},
        max_drift=MAX_DRIFT,
        quantity=lambda code: (
            found.language.say(LEVELS[code]) if code in LEVELS else channel(code, found.language)
        ),
        names={one.id: one.name for one in found.house.plant.machine},
        metric=metric,
        metric_names=METRICS,
        steps=STEPS,
        verdicts=verdicts,
        verdict_codes=[one.value for one in Verdict],
        n_alarms=len(alarms),
        n_open=sum(alarm.last.state is not AlarmState.NORMAL for alarm in alarms),
        running=running.most_common(),
        min_failures=MIN_FAILURES,
        **_tools(found, verdicts),
    )


@router.get("/models/{name}/decisions", include_in_schema=False)
def decisions_of(found: Found, name: str) -> Response:
    """The newest decisions about one model; as a fragment it asks again while one waits."""
    family = _family(found, name)
    if not found.fragment:
        return RedirectResponse("/models", status_code=303)
    _, verdicts = _verdicts(found)
    return page(found, "model_decisions.html", one=family, **_tools(found, verdicts))


@router.post("/models/{name}/{what}", include_in_schema=False)
def decide(
    found: Found,
    *,
    name: str,
    what: str,
    token: Annotated[str, Form(max_length=100)],
    action_id: Annotated[str, Form(max_length=64)],
    champion: Annotated[int, Form(ge=0)],
    challenger: Annotated[int, Form(ge=0)],
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """A person's decision goes to the desk with what the page showed; the registry's gate answers it."""
    if what not in KINDS:
        raise Problem(404)
    family = _family(found, name)
    found.demand(KINDS[what], token)
    why = note_of(reason)
    if len(why) < MIN_REASON:
        raise Problem(422, found.language.say("Say why in at least 10 characters: the next shift will ask."))
    values: dict[str, str | int | float] = {
        "model": family.name,
        "champion": champion,
        "challenger": challenger,
        "reason": why,
    }
    say(found, KINDS[what], (token, action_id), "", values=values)
    return keep_session(found, RedirectResponse(f"/models#{family.name}", status_code=303))


def _family(found: Visit, name: str) -> Family:
    for one in _families(found):
        if one.name == name:
            return one
    raise Problem(404)


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
