"""Champion and challenger side by side on the stream: on which machine-days each of them alarmed.

A fold over stored words, so that a restart counts nothing twice. The newest MAX_DAYS days are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ingest.contract.models_now import Agreement

DAY_NS: Final = 24 * 3600 * 10**9
MAX_DAYS: Final = 31
PERSIST_WORDS: Final = 3
"""An alarm is as many strange words in a row, as in a replay (`models.training.replay`)."""
SEEN, CHAMPION, CHALLENGER = 1, 2, 4


@dataclass(slots=True)
class SideBySide:
    """pair: labels of the two, ("", "") while there are no two; days: bits of every machine, (M,), by day
    number since 1970; runs: strange words in a row of the two, by machine.
    """

    n_machines: int
    pair: tuple[str, str] = ("", "")
    days: dict[int, bytearray] = field(default_factory=dict)
    runs: dict[int, tuple[int, int]] = field(default_factory=dict)

    def hear(self, m: int, time_ns: int, pair: tuple[str, str], words: tuple[float, float]) -> None:
        """Take both words on a machine: scores over their alarm level. Another pair starts anew."""
        if pair != self.pair:
            self.pair, self.days, self.runs = pair, {}, {}
        if words[0] != words[0] or words[1] != words[1]:
            return
        before = self.runs.get(m, (0, 0))
        ours, theirs = (run + 1 if word >= 1.0 else 0 for run, word in zip(before, words, strict=True))
        self.runs[m] = (min(ours, PERSIST_WORDS), min(theirs, PERSIST_WORDS))
        day = time_ns // DAY_NS
        if day not in self.days:
            if len(self.days) >= MAX_DAYS:
                oldest = min(self.days)
                if day < oldest:
                    return
                del self.days[oldest]
            self.days[day] = bytearray(self.n_machines)
        bits = SEEN | (CHAMPION if ours >= PERSIST_WORDS else 0)
        self.days[day][m] |= bits | (CHALLENGER if theirs >= PERSIST_WORDS else 0)

    def agreement(self) -> Agreement | None:
        """What both said so far; None while there are no two.

        >>> days = SideBySide(2)
        >>> for minute in range(3):
        ...     days.hear(0, minute * 60 * 10**9, ("a@1", "a@2"), (1.5, 0.2))
        >>> days.agreement()
        Agreement(champion='a@1', challenger='a@2', days=1, both=0, only_champion=1, only_challenger=0)
        """
        if not self.pair[1]:
            return None
        said = [bits for day in self.days.values() for bits in day if bits]
        both, ours, theirs = (
            sum(bits & (CHAMPION | CHALLENGER) == wanted for bits in said)
            for wanted in (CHAMPION | CHALLENGER, CHAMPION, CHALLENGER)
        )
        return Agreement(*self.pair, len(said), both, ours, theirs)
