"""`mitra diagnose`: the damaged part of a bearing in one recording, untrained, with its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from features.bearings import Orders, find, orders_of
from features.order_tracking import at_equal_angles
from features.signature import Evidence, Part, Signature
from features.signature import diagnose as read_signature
from features.speed import from_pulses
from ingest.contract.values import AXES
from mitra.commands.numbers import MAX_COUNT, MAX_RPM, g_per_count, number, rate
from mitra.commands.speech import AsJson, reading, say, say_json, say_table
from mitra.exits import PersonError
from mitra.layout import read_plant
from models.recordings import RecordingError, load_recording

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

FAULT_OF: dict[Part | None, str] = {
    None: "healthy",
    Part.OUTER: "bearing_outer",
    Part.INNER: "bearing_inner",
    Part.BALL: "bearing_ball",
    Part.CAGE: "bearing_cage",
}
UNKNOWN = "unknown"
MAX_PULSES = 10_000
ORDER_NAMES = ("bpfo", "bpfi", "bsf", "ftf")


@app.command()
def diagnose(
    recording: Annotated[
        Path, typer.Argument(help="HDF5, NPZ, CSV or Parquet: [snapshot,] sample [, axis].")
    ],
    rate_hz: Annotated[float, rate()],
    rpm: Annotated[float | None, number(0.1, MAX_RPM, "Shaft speed, if it is steady.")] = None,
    tacho: Annotated[
        Path | None, typer.Option(help="Or times of tacho pulses, one a line, in s from the first sample.")
    ] = None,
    pulses_per_turn: Annotated[int, number(1, MAX_PULSES, "Of the tacho.")] = 1,
    bearing: Annotated[str, typer.Option(help="A bearing by name (`mitra bearing`).")] = "",
    orders: Annotated[str, typer.Option(help="Or its orders: bpfo=3.58,bpfi=5.42,bsf=2.36,ftf=0.4")] = "",
    plant: Annotated[Path | None, typer.Option(help="A plant file with bearings of its own.")] = None,
    dataset: Annotated[str, typer.Option(help="Array of an HDF5 or NPZ file, if there are several.")] = "",
    scale: Annotated[float, g_per_count()] = 1.0,
    snapshot: Annotated[
        int, typer.Option(min=-MAX_COUNT, max=MAX_COUNT, help="Which snapshot, from 0; -1 is the newest.")
    ] = -1,
    as_json: AsJson = False,
) -> None:
    """Name the fault of a bearing: `healthy`, `bearing_outer`, `bearing_inner`, `bearing_ball`,
    `bearing_cage`, or `unknown`, with confidence and the lines that speak for it.

    Every axis is read; the one that speaks most clearly decides. `by_exclusion`: impacts ring, but no part
    speaks clearly; a rolling element is then the likeliest, and the confidence is low. `bsf` is once the spin
    frequency. With `--tacho` the speed may move within the recording: it is read at equal angles, and the
    frequencies in the answer are those at its mean speed.

    Example: `mitra diagnose pump.npz --rate-hz 12000 --rpm 1797 --bearing 6205 --json`
    """
    if (rpm is None) == (tacho is None):
        raise PersonError("setting", "A diagnosis needs either --rpm or --tacho FILE.")
    known = _orders(bearing, orders, plant)
    try:
        waves = load_recording(recording, dataset, scale)
    except RecordingError as error:
        raise PersonError("setting", f"Nothing was diagnosed: {error}.") from error
    if not -len(waves) <= snapshot < len(waves):
        raise PersonError("setting", f"{recording.name} has {len(waves)} snapshots; there is no {snapshot}.")
    wave = waves[snapshot]
    try:
        axes = [np.asarray(wave[:, axis], np.float64) for axis in range(wave.shape[1])]
        if tacho is not None:
            pulses_s = _pulses(tacho)
            tracked = [at_equal_angles(one, rate_hz, pulses_s, pulses_per_turn) for one in axes]
            axes, rpm = [one.samples for one in tracked], from_pulses(pulses_s, pulses_per_turn).rpm
            rate_hz = tracked[0].samples_per_turn * rpm / 60
        found = [read_signature(one, rate_hz, rpm or 0.0, known) for one in axes]
    except ValueError as error:
        raise PersonError("setting", f"Nothing was diagnosed: {error}.") from error
    axis = max(range(len(found)), key=lambda number: _clarity(found[number]))
    verdict = found[axis] if any(one.band is not None for one in found) else None
    told = _told(verdict, AXES[axis] if axis < len(AXES) else str(axis))
    if as_json:
        say_json(told)
    else:
        _say(told)


def _pulses(path: Path) -> NDArray[np.float64]:
    """Times of pulses, (n,) s. Raises PersonError."""
    with reading(path, "the tacho's pulses"):
        text = path.read_text("utf-8")
    try:
        return np.array([float(line) for line in text.split()], np.float64)
    except ValueError as error:
        raise PersonError(
            "setting", f"Nothing was diagnosed: {path.name} holds no times in seconds ({error})."
        ) from error


def _orders(bearing: str, text: str, plant: Path | None) -> Orders:
    if bool(bearing) == bool(text):
        raise PersonError("setting", "A diagnosis needs either --bearing NAME or --orders.")
    declared = read_plant(plant).bearing if plant is not None else ()
    try:
        if bearing:
            return orders_of(find(bearing, declared))
        pairs = dict(pair.partition("=")[::2] for pair in text.replace(" ", "").split(","))
        return Orders(**{name: _number(name, pairs[name]) for name in ORDER_NAMES})
    except KeyError as error:
        named = error.args[0] if bearing else f"--orders {text!r} lacks {error.args[0]}"
        raise PersonError("setting", f"Nothing was diagnosed: {named}.") from error
    except ValueError as error:
        raise PersonError(
            "setting", f"Nothing was diagnosed, the orders cannot be used: {error}. Write bpfo=3.58,bpfi=..."
        ) from error


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{name} is to be a number, got {text!r}") from error


def _clarity(found: Signature) -> tuple[int, float]:
    """A part named by its lines over one named by exclusion over silence; then the stronger lines."""
    rank = 0 if found.part is None else 1 if found.by_exclusion else 2
    return rank, max((one.score_db for one in found.evidence), default=0.0)


def _told(found: Signature | None, axis: str) -> dict[str, Any]:
    if found is None:
        return {
            "fault": UNKNOWN,
            "confidence": 0.0,
            "by_exclusion": False,
            "axis": "",
            "why": "the recording holds no signal in which a band could be demodulated",
            "evidence": [],
        }
    return {
        "fault": FAULT_OF[found.part],
        "confidence": round(found.confidence, 3),
        "by_exclusion": found.by_exclusion,
        "axis": axis,
        "why": _why(found),
        "energy_above_2_khz": round(found.high_share, 4),
        "band": found.band,
        "evidence": [_evidence(one) for one in sorted(found.evidence, key=lambda one: -one.score_db)],
    }


def _why(found: Signature) -> str:
    if found.by_exclusion:
        return (
            "impacts ring the structure, but no part speaks clearly: a rolling element, which tumbles, is "
            "the likeliest; have the bearing looked at"
        )
    best = max(found.evidence, key=lambda one: one.score_db)
    lines = ", ".join(f"{line.name} at {line.hz:.1f} Hz ({line.level_db:.0f} dB)" for line in best.lines)
    if found.part is None:
        return f"no line at a bearing order stands out; the nearest to it: {lines}"
    return f"lines of the envelope spectrum stand out: {lines}"


def _evidence(one: Evidence) -> dict[str, Any]:
    return {
        "part": FAULT_OF[one.part],
        "level_db": round(one.score_db, 1),
        "sidebands_db": round(one.sidebands_db, 1),
        "lines": [
            {"name": line.name, "hz": round(line.hz, 2), "level_db": round(line.level_db, 1)}
            for line in one.lines
        ],
    }


def _say(told: dict[str, Any]) -> None:
    say(f"{told['fault']}  (confidence {told['confidence']:.2f}, axis {told['axis'] or '-'})")
    say(told["why"])
    rows = [
        (one["part"], line["name"], f"{line['hz']:.1f}", f"{line['level_db']:.1f}")
        for one in told["evidence"]
        for line in one["lines"]
    ]
    if rows:
        say_table(("part", "line", "Hz", "dB over its surroundings"), rows)
