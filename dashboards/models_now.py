"""What judges the stream at this moment, as ingest's side says it once a minute: read, never written."""

from __future__ import annotations

from pathlib import Path

from ingest.contract.models_now import MODELS_FILE, Drifted, ModelsNow, parse_models_now


def read_models_now(journal: Path) -> ModelsNow | None:
    """The newest file, beside the journal; None before the first, or when it cannot be understood."""
    try:
        return parse_models_now(journal.with_name(MODELS_FILE).read_bytes())
    except OSError:
        return None


def by_feature(drift: tuple[Drifted, ...]) -> dict[str, list[Drifted]]:
    """What drifted, by quantity: that on most machines first, of each machine the newest."""
    found: dict[str, dict[str, Drifted]] = {}
    for one in drift:
        found.setdefault(one.feature, {})[one.machine] = one
    return {
        feature: sorted(ones.values(), key=lambda one: -one.time_ns)
        for feature, ones in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    }
