"""What training and the gate are given: history as a frame, people's words weighed, golden cases."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.contract.plant import Machine, Plant
from ingest.influx import Influx, InfluxError, read_rows
from ingest.reader import Reader
from ingest.views import END_NS
from mitra.exits import PersonError
from mitra.layout import Layout, writing
from mitra.stored import reader_of
from mitra.verdicts import weighed_of
from models.labels import Label, Weighed
from models.registry import GoldenCase, Registry, Signer
from models.training import (
    Frame,
    GoldenStretch,
    Trained,
    TrainingError,
    golden_answers,
    join,
    read_history,
    to_files,
)
from models.training import read_golden as read_golden_json

CODE_VERSION = version("ayo-mitra")
SIGNER = "this-server"
GOLDEN_COLUMNS = ("case", "machine", "from", "to", "faulty")
TRUE, FALSE = {"1", "yes", "true", "ya"}, {"0", "no", "false", "tidak"}


@dataclass(frozen=True, slots=True)
class Past:
    """A plant's history and what people said of it, of which only admitted labels may train."""

    frame: Frame
    weighed: tuple[Weighed, ...]

    @property
    def labels(self) -> tuple[Label, ...]:
        """Labels without doubts, or released by a second person."""
        return tuple(one.label for one in self.weighed if one.admitted)

    @property
    def waiting(self) -> tuple[Weighed, ...]:
        """Labels in quarantine."""
        return tuple(one for one in self.weighed if not one.admitted)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where the rows are read instead of the plant's own history: files, or InfluxDB; neither: the history.

    machine, time: columns of the files.
    """

    files: tuple[Path, ...] = ()
    machine: str = "machine"
    time: str = "time_ns"
    influx: Influx | None = None


def past_of(
    data: Path,
    plant: Plant,
    window: tuple[int, int] = (0, END_NS),
    golden: Sequence[GoldenStretch] = (),
    elsewhere: Elsewhere = Elsewhere(),
) -> Past:
    """Everything that training may see of a plant in [from_ns, to_ns). Raises PersonError."""
    if window[0] >= window[1]:
        raise PersonError("setting", "Nothing was read: --from is not before --to.")

    def answered(held: Sequence[Label]) -> dict[str, tuple[int, int]]:
        return golden_answers(held, golden)

    if elsewhere.files and not Layout(data).journal.exists():
        frame = _frame_of_files(elsewhere, plant, window)
        return Past(frame, weighed_of(None, data, answered))
    reader = reader_of(data)
    try:
        frame = (
            _frame_of_files(elsewhere, plant, window)
            if elsewhere.files
            else _frame_of_plant(reader, plant, window, elsewhere.influx)
        )
        return Past(frame, weighed_of(reader, data, answered))
    except InfluxError as error:
        raise PersonError("missing", f"Nothing was trained: {error}.") from error
    finally:
        reader.close()


def _frame_of_plant(reader: Reader, plant: Plant, window: tuple[int, int], influx: Influx | None) -> Frame:
    parts = {}
    for machine in plant.machine:
        if influx is None:
            rows = reader.rows(machine.id, *window)
        else:
            rows = read_rows(influx, machine.id, None, *window)  # the journal may have forgotten its columns
        if len(rows.time_ns):
            parts[machine.id] = (rows.time_ns, rows.names, rows.values.astype("float64"))
    return join(parts, kinds_of(plant))


def _frame_of_files(elsewhere: Elsewhere, plant: Plant, window: tuple[int, int]) -> Frame:
    try:
        return read_history(
            elsewhere.files,
            machine=elsewhere.machine,
            time=elsewhere.time,
            groups=kinds_of(plant),
            from_ns=window[0],
            to_ns=window[1],
        )
    except TrainingError as error:
        raise PersonError("setting", f"Nothing was trained: {error}") from error


def kinds_of(plant: Plant) -> dict[str, str]:
    """The machine group of each machine."""
    return {machine.id: machine.kind for machine in plant.machine}


def signer_of(data: Path, registry: Registry) -> Signer:
    """This server's signing key, made at the first training; its registry trusts it. Raises PersonError."""
    path = Layout(data).signing_key
    with writing(path):
        if path.exists():
            signer = Signer.from_bytes(path.read_bytes())
        else:
            signer = Signer.new()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(signer.to_bytes())
        registry.trust(SIGNER, signer.public)
    return signer


def keep(data: Path, trained: Trained) -> str:
    """Sign a trained model into the registry; its label."""
    registry = Registry(Layout(data).registry)
    return registry.add(trained.manifest, to_files(trained.model), signer_of(data, registry)).label


def read_golden(path: Path, plant: Plant) -> tuple[GoldenStretch, ...]:
    """Golden cases from a CSV with `case,machine,from,to,faulty`, or JSON as `models.training` reads it.

    CSV times without an offset are the plant's; the group of a case is the kind of its machine. Raises
    PersonError with the row that is wrong.
    """
    if path.suffix.lower() == ".json":
        try:
            return read_golden_json(path)
        except TrainingError as error:
            raise PersonError("setting", str(error)) from error
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError) as error:
        raise PersonError("setting", f"The golden cases {path} cannot be read: {error}") from error
    machines, zone = plant.by_id(), ZoneInfo(plant.plant.timezone)
    missing = [name for name in GOLDEN_COLUMNS if rows and name not in rows[0]]
    if missing:
        raise PersonError(
            "setting",
            f"{path} has no column {', '.join(missing)}; golden cases have {','.join(GOLDEN_COLUMNS)}.",
        )
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            stretch = (_time_ns(row["from"], zone), _time_ns(row["to"], zone))
            case = GoldenCase(row["case"], _machine(machines, row["machine"]).kind, _truth(row["faulty"]))
        except (KeyError, TypeError, ValueError) as error:
            columns = ",".join(GOLDEN_COLUMNS)
            raise PersonError(
                "setting", f"{path}, row {number} is no golden case ({error}); columns: {columns}."
            ) from error
        found.append(GoldenStretch(case, row["machine"], *stretch))
    return tuple(found)


def _machine(machines: Mapping[str, Machine], name: str) -> Machine:
    if name not in machines:
        raise ValueError(f"{name!r} is no machine of the plant file")
    return machines[name]


def _truth(text: str) -> bool:
    if text.strip().lower() not in TRUE | FALSE:
        raise ValueError(f"faulty is yes or no, got {text!r}")
    return text.strip().lower() in TRUE


def _time_ns(text: str, zone: tzinfo) -> int:
    when = datetime.fromisoformat(text)
    when = when if when.tzinfo else when.replace(tzinfo=zone)
    return int(when.astimezone(UTC).timestamp()) * 10**9
