"""Shapes of the JSON interface, with examples for the OpenAPI file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ingest.contract.actions import ActionKind
from ingest.contract.rows import AlarmState, Condition, Priority


class ReasonOut(BaseModel):
    """One line of evidence, in the caller's language too."""

    code: str
    sentence: str
    weight: float


class MachineOut(BaseModel):
    """One machine now. zone "" and nulls mean "cannot be judged" or "not measured", never zero."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "pump-07",
                    "name": "Feed pump 7",
                    "area": "Boiler house",
                    "line": "L2",
                    "criticality": "high",
                    "condition": "warning",
                    "level": "warning",
                    "zone": "C",
                    "health": 62.0,
                    "risk": 0.38,
                    "velocity_mm_s": 3.41,
                    "temperature_c": 71.2,
                    "power_kw": 41.8,
                    "speed_rpm": 1480.0,
                    "fault": "bearing_outer",
                    "confidence": 0.82,
                    "remaining_life_h": 210.0,
                    "remaining_life_interval_h": [120.0, 400.0],
                    "reasons": [
                        {
                            "code": "impacts",
                            "sentence": "The signal is impulsive: kurtosis 7.2",
                            "weight": 0.6,
                        }
                    ],
                    "received_ns": 1795489500000000000,
                    "age_s": 1.2,
                    "stale": False,
                }
            ]
        }
    )
    id: str
    name: str
    area: str
    line: str
    criticality: str
    condition: Condition
    level: str
    zone: str
    health: float | None
    risk: float | None
    velocity_mm_s: float | None
    temperature_c: float | None
    power_kw: float | None
    speed_rpm: float | None
    fault: str
    confidence: float | None
    remaining_life_h: float | None
    remaining_life_interval_h: tuple[float, float] | None
    reasons: list[ReasonOut]
    received_ns: int | None
    age_s: float | None
    stale: bool


class AlarmOut(BaseModel):
    """One alarm now."""

    id: str
    machine: str
    cause: str
    state: AlarmState
    priority: Priority
    opened_ns: int
    changed_ns: int
    verdict: str | None = None
    acknowledged_by: str | None = None


class AlarmsOut(BaseModel):
    """A page of alarms, newest opened first; `next` goes into `before` for the page after it."""

    alarms: list[AlarmOut]
    next: str | None


class ActionIn(BaseModel):
    """One thing to say. action_id is made by the caller: saying it twice is harmless."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action_id": "6f1c2a7e9b0d4c55", "kind": "acknowledge"},
                {"action_id": "0b9d2a7e9b0d4c56", "kind": "verdict", "values": {"verdict": "confirmed"}},
            ]
        },
    )
    action_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9-]{8,64}$")]
    kind: ActionKind
    values: Annotated[dict[str, str | int | float], Field(max_length=12)] = {}


class SaidOut(BaseModel):
    """new: false when this action_id was said before."""

    new: bool


class ProblemOut(BaseModel):
    """Problem Details, RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    correlation_id: str
