"""The challenger in the champion's shadow: both score the same rows, only the champion speaks.

On the stream their words are columns of feature rows (`Mitra/Champion/NAME@VERSION`, a score over its alarm
level): stored once with the row, folded again from there after a restart, and read back here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.online.layout import CHALLENGER_COLUMN, CHAMPION_COLUMN
from models.registry.history import Alias, RefusedError
from models.registry.signing import UntrustedModelError
from models.training.content import from_files
from models.training.frame import Frame
from models.training.replay import alarms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ingest.contract.rows import FeatureRow
    from models.registry.store import Registry
    from models.training.train import BatchModel

DAY_NS = 24 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """Machine-days seen, and those on which both, only the champion, or only the challenger alarmed.

    differing: (machine, day number since 1970, who alarmed) of at most 200 days to look at.
    """

    days: int
    both: int
    only_champion: int
    only_challenger: int
    differing: tuple[tuple[str, int, str], ...]


def shadow(champion: BatchModel, challenger: BatchModel, frame: Frame) -> ShadowReport:
    """Score one stretch of history, or the newest rows, with both."""
    alarms = [alarms_of(frame, model.strange(frame)) for model in (champion, challenger)]
    return _side_by_side(frame, alarms[0], alarms[1])


def _side_by_side(frame: Frame, champion: NDArray[np.bool_], challenger: NDArray[np.bool_]) -> ShadowReport:
    """Machine-days of two models' alarms, (n,) each."""
    key = frame.machine * 10**6 + frame.time_ns // DAY_NS
    days, member = np.unique(key, return_inverse=True)
    ours, theirs = (np.bincount(member, alarm, len(days)) > 0 for alarm in (champion, challenger))
    differing = tuple(
        (
            frame.machines[int(days[k] // 10**6)],
            int(days[k] % 10**6),
            "champion" if ours[k] else "challenger",
        )
        for k in np.flatnonzero(ours != theirs)[:200]
    )
    return ShadowReport(
        len(days),
        int(np.sum(ours & theirs)),
        int(np.sum(ours & ~theirs)),
        int(np.sum(theirs & ~ours)),
        differing,
    )


def agreement(
    parts: Mapping[str, tuple[NDArray[np.int64], Sequence[str], NDArray[np.float64]]],
    champion: str,
    challenger: str,
) -> ShadowReport:
    """What both said live, from stored rows that carry a word of each. champion, challenger: labels.

    parts: (times (n,), column names, values (n, d)) by machine; other columns may be there too.
    """
    wanted = (CHAMPION_COLUMN + champion, CHALLENGER_COLUMN + challenger)
    names: list[str] = []
    index, times, words = [], [], []
    for machine, (time_ns, columns, values) in sorted(parts.items()):
        if not set(wanted) <= set(columns):
            continue
        said = values[:, [list(columns).index(name) for name in wanted]]
        both = np.flatnonzero(~np.isnan(said).any(axis=1))
        both = both[np.argsort(time_ns[both], kind="stable")]
        index.append(np.full(len(both), len(names), np.int64))
        names.append(machine)
        times.append(time_ns[both])
        words.append(said[both])
    if not sum(map(len, times)):
        return ShadowReport(0, 0, 0, 0, ())
    who = tuple(names)
    frame = Frame(np.concatenate(index), np.concatenate(times), np.vstack(words), wanted, who, who)
    over = frame.values >= 1.0
    return _side_by_side(frame, alarms_of(frame, over[:, 0]), alarms_of(frame, over[:, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """A verified model that scores the newest rows."""

    label: str
    alias: Alias
    model: BatchModel

    @property
    def column(self) -> str:
        """Where its word is written."""
        return (CHAMPION_COLUMN if self.alias is Alias.CHAMPION else CHALLENGER_COLUMN) + self.label

    def words(self, rows: Sequence[FeatureRow]) -> NDArray[np.float64]:
        """Score over its alarm level of each row, (n,); NaN where a row has none of the model's columns."""
        place = {name: k for k, name in enumerate(self.model.columns)}
        values = np.full((len(rows), len(place)), np.nan)
        for i, row in enumerate(rows):
            for name, value in zip(row.names, row.values.tolist(), strict=True):
                k = place.get(name)
                if k is not None:
                    values[i, k] = value
        score = self.model.scale.apply(self.model.detector.raw(values))
        said = score / max(self.model.scale.level, 1e-9)
        return np.asarray(np.where(np.isnan(values).all(axis=1), np.nan, said), np.float64)


def live_models(registry: Registry, name: str) -> tuple[list[LiveModel], list[str]]:
    """Champion and challenger of one name, and why one of them may not speak, in words.

    A model that is broken, unsigned or unreadable is left out: what else judges goes on.
    """
    found: list[LiveModel] = []
    refused: list[str] = []
    try:
        standing = registry.standing(name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [], [f"The history of models cannot be read, so {name} does not judge: {error}."]
    for alias, version in ((Alias.CHAMPION, standing.champion), (Alias.CHALLENGER, standing.challenger)):
        if version is None:
            continue
        try:
            model = registry.load(name, version)
            found.append(LiveModel(model.manifest.label, alias, from_files(model.files)))
        except (UntrustedModelError, RefusedError, OSError, ValueError, KeyError, TypeError) as error:
            refused.append(f"{name}@{version} ({alias}) does not judge: {error}")
    return found, refused
