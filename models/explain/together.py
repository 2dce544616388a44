"""What the panel and the batch champion found, as reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.contract.rows import Reason
from models.online.step import BROKE, CHAMPION_SAYS

if TYPE_CHECKING:
    from models.rows import Judged

PANEL_WEIGHT, CHAMPION_WEIGHT = 0.6, 0.4


def reasons_of_panel(judged: Judged, champion: str) -> list[Reason]:
    """Which two quantities no longer go together, and whether the champion agrees. champion: its label."""
    i, flags = judged.i, judged.lists.flags[judged.i]
    found: list[Reason] = []
    odd, other = judged.verdicts.pair[i].tolist()
    if odd >= 0:
        slots = judged.layout.slots
        code = "relation_broke" if flags & BROKE else "rare_together"
        values: dict[str, float | str] = {"channel": slots[odd].name, "other": slots[other].name}
        values["ratio"] = float(judged.verdicts.panel[i])
        found.append(Reason(code, values, PANEL_WEIGHT))
    if flags & CHAMPION_SAYS:
        found.append(Reason("champion_finds", {"model": champion}, CHAMPION_WEIGHT))
    return found
