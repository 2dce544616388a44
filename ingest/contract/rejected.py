"""Bad data is a value, not an exception."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why something was not accepted. reason: a short fixed code that is counted; detail: for a person."""

    reason: str
    detail: str = ""
