"""What the stream makes of messages: feature rows, judgements, alarm changes and stop requests."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from ingest.contract.values import MessageKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FeatureRow(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Features of one message.

    names: column names, one shared tuple per schema; values: (n,) float32, NaN = missing. Columns are
    `{axis}.{feature}` (as `x.rms_g`), `{feature}` for vector features, and the channel's own name for
    scalars (as `Power/Active`). time_ns is corrected sensor time; key ties the row to its message.
    """

    machine: str
    time_ns: int
    names: tuple[str, ...]
    values: NDArray[np.float32]
    key: MessageKey | None = None
    historical: bool = False
    waveform_kept: bool = False


class Condition(StrEnum):
    """State detection of ISO 13374, as a technician reads it. LEARNING and UNKNOWN are never shown green."""

    UNKNOWN = "unknown"
    LEARNING = "learning"
    STOPPED = "stopped"
    NORMAL = "normal"
    WARNING = "warning"
    ALARM = "alarm"


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One line of evidence. code: key of the translated sentence; values fill it; weight: share in [0, 1]."""

    code: str
    values: dict[str, float | str] = msgspec.field(default_factory=dict)
    weight: float = 0.0


class RemainingLife(msgspec.Struct, frozen=True, gc=False):
    """Hours to the failure threshold with a 90 % interval; None fields mean "too early to say"."""

    hours: float | None
    lower_hours: float | None
    upper_hours: float | None
    confidence: float


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What the models say of one feature row.

    score: anomaly in [0, 1]; threshold: its alarm level; health: 0 (failed) to 100; zone: ISO 10816-3
    letter or "" when it cannot be judged; fault: code of the diagnosis, "" for none, "unknown" is an answer.
    """

    machine: str
    time_ns: int
    condition: Condition
    score: float
    threshold: float
    health: float
    zone: str = ""
    regime: str = ""
    fault: str = ""
    confidence: float = 0.0
    reasons: tuple[Reason, ...] = ()
    remaining_life: RemainingLife | None = None
    health_by_component: dict[str, float] = msgspec.field(default_factory=dict)
    model: str = ""


class AlarmState(StrEnum):
    """States of ISA-18.2."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned_unacknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed_by_design"
    OUT_OF_SERVICE = "out_of_service"


class Priority(StrEnum):
    """Alarm priorities; the target mix is about 80 / 15 / 5 (EEMUA 191)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class AlarmChange(msgspec.Struct, frozen=True, gc=False):
    """One step of one alarm. alarm_id: stable for an episode; cause: fault code or component."""

    alarm_id: str
    machine: str
    cause: str
    state: AlarmState
    previous: AlarmState
    priority: Priority
    time_ns: int
    event: str
    by: str = ""
    note: str = ""
    reasons: tuple[Reason, ...] = ()
    health: float = 100.0
    until_ns: int | None = None


class StopAdvice(msgspec.Struct, frozen=True, gc=False):
    """The models think that a technician should decide about a stop. It is a request, never a command."""

    machine: str
    time_ns: int
    cause: str
    risk: float
    reason: str
    model_id: str
    window_ns: tuple[int, int]
    evidence: tuple[Reason, ...] = ()


class Outputs(msgspec.Struct, frozen=True, gc=False):
    """All that one `update` says."""

    rows: tuple[FeatureRow, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    alarms: tuple[AlarmChange, ...] = ()
    advice: tuple[StopAdvice, ...] = ()
