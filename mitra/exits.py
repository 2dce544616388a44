"""Exit codes, and the one exception whose message is meant for a person."""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["setting", "missing", "disk", "check"]

EXIT_CODES: Final[dict[Kind, int]] = {"setting": 3, "missing": 4, "disk": 5, "check": 6}
KINDS: Final[dict[int, Kind]] = {code: kind for kind, code in EXIT_CODES.items()}


class PersonError(Exception):
    """Says what happened, what it means for the plant, and what to do."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
