"""The model card: what a person must know before trusting a model (Mitchell et al. 2019), as Markdown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.registry.manifest import Manifest


def card(manifest: Manifest) -> str:
    """Markdown of one version: data window, figures with intervals by machine group, limits."""
    lines = [
        f"# {manifest.label}",
        "",
        f"- Kind: {manifest.kind}",
        f"- Trained: {_day(manifest.created_ns)}, with Mitra {manifest.code_version}, seed {manifest.seed}",
        f"- Data: {_day(manifest.data_from_ns)} to {_day(manifest.data_to_ns)}",
        f"- Data SHA-256: `{manifest.data_sha256}`",
        *(f"- {note}" for note in manifest.notes),
        "",
        "## Figures",
        "",
        "Each is of machines that the model had not seen, with a 90 % interval.",
        "",
        "| machine group | figure | value | interval | stands on |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {metric.group or 'all'} | {metric.name} | {metric.value:.3f} | "
        f"{metric.lower:.3f} to {metric.upper:.3f} | {metric.count} |"
        for metric in manifest.metrics
    ]
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in manifest.limits), ""]
    return "\n".join(lines)


def _day(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
