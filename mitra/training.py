"""What training and the gate are given: history as a frame, people's words weighed, golden cases."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.contract.plant import Plant
from ingest.influx import Influx, InfluxError, read_rows
from ingest.reader import Reader
from ingest.views import END_NS
from mitra.exits import PersonError
from mitra.layout import Layout, writing
from mitra.stored import book_of_desk, reader_of
from models.labels import Label, Seen, Weighed, weigh
from models.registry import GoldenCase, Registry, Signer
from models.training import Frame, GoldenStretch, Trained, TrainingError, join, to_files
from models.training import read_golden as read_golden_json

CODE_VERSION = version("ayo-mitra")
SIGNER = "this-server"
GOLDEN_COLUMNS = ("case", "machine", "from", "to", "faulty")
TRUE, FALSE = {"1", "yes", "true", "ya"}, {"0", "no", "false", "tidak"}
JUDGEMENTS_A_LABEL = 10_000


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


def past_of(
    data: Path, plant: Plant, from_ns: int = 0, to_ns: int = END_NS, influx: Influx | None = None
) -> Past:
    """Everything that training may see of a plant. influx: where the rows are read, if not in data.

    Raises PersonError.
    """
    reader = reader_of(data)
    try:
        parts = {}
        for machine in plant.machine:
            rows = reader.rows(machine.id, from_ns, to_ns)
            if influx is not None:
                rows = read_rows(influx, machine.id, reader.rows(machine.id).names, from_ns, to_ns)
            if len(rows.time_ns):
                parts[machine.id] = (rows.time_ns, rows.names, rows.values.astype("float64"))
        frame = join(parts, {machine.id: machine.kind for machine in plant.machine})
        held = book_of_desk(Layout(data).desk).current()
        return Past(frame, weigh_with(reader, held))
    except InfluxError as error:
        raise PersonError("missing", f"Nothing was trained: {error}.") from error
    finally:
        reader.close()


def weigh_with(reader: Reader, labels: Iterable[Label]) -> tuple[Weighed, ...]:
    """Weigh labels by what the stream judged at their time."""

    def seen(label: Label) -> Seen | None:
        said = reader.judgements(label.machine, label.from_ns, label.to_ns + 1, JUDGEMENTS_A_LABEL)
        if not said:
            return None
        return Seen(min(one.health for one in said), max(one.score for one in said))

    return weigh(labels, seen)


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
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            stretch = (_time_ns(row["from"], zone), _time_ns(row["to"], zone))
            case = GoldenCase(row["case"], machines[row["machine"]].kind, _truth(row["faulty"]))
        except (KeyError, TypeError, ValueError) as error:
            columns = ",".join(GOLDEN_COLUMNS)
            raise PersonError(
                "setting", f"{path}, row {number} is no golden case ({error}); columns: {columns}."
            ) from error
        found.append(GoldenStretch(case, row["machine"], *stretch))
    return tuple(found)


def _truth(text: str) -> bool:
    if text.strip().lower() not in TRUE | FALSE:
        raise ValueError(f"faulty is yes or no, got {text!r}")
    return text.strip().lower() in TRUE


def _time_ns(text: str, zone: tzinfo) -> int:
    when = datetime.fromisoformat(text)
    when = when if when.tzinfo else when.replace(tzinfo=zone)
    return int(when.astimezone(UTC).timestamp()) * 10**9
