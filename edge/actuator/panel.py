"""The panel at each machine: it shows the presence code and a stop about to happen; it has a hold button.

A folder that only the machine's own display and button can reach: `{machine}.json` is shown, and while
`{machine}.inhibit` exists no remote stop of that machine is carried out.
"""

from __future__ import annotations

import json
from pathlib import Path

from edge.actuator.outputs import write_atomically


class Panel:
    """The panels of all machines of this edge."""

    def __init__(self, folder: Path) -> None:
        """folder: made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def show(self, machine: str, **shown: str | int) -> None:
        """Replace what a machine's display shows."""
        write_atomically(self._folder / f"{machine}.json", json.dumps(shown).encode())

    def is_inhibited(self, machine: str) -> bool:
        """True while somebody at the machine holds its stop."""
        return inhibit_path(self._folder, machine).exists()


def inhibit_path(folder: Path, machine: str) -> Path:
    """The hold button of a machine."""
    return folder / f"{machine}.inhibit"


def read_panel(folder: Path, machine: str) -> dict[str, str | int]:
    """What the display of a machine shows now; empty when it shows nothing."""
    try:
        found = json.loads((folder / f"{machine}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
