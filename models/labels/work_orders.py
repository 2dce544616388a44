"""Closed work orders as labels: any maintenance system exports a CSV, and its columns have many names."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from ingest.contract.actions import Verdict
from ingest.contract.rejected import Rejected
from models.labels.label import UNKNOWN_FAULT, Label, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROWS_MAX = 100_000
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "order": ("order", "order_id", "work_order", "wo", "wo_number", "id", "nomor", "no_wo"),
    "machine": ("machine", "machine_id", "asset", "asset_id", "equipment", "mesin", "aset"),
    "opened": ("opened", "opened_at", "start", "from", "reported", "failure_start", "dibuka", "mulai"),
    "closed": ("closed", "closed_at", "end", "to", "finished", "ditutup", "selesai"),
    "fault": ("fault", "fault_code", "failure_code", "cause", "kerusakan", "kode_kerusakan", "penyebab"),
    "component": ("component", "part", "komponen", "bagian"),
    "kind": ("kind", "type", "order_type", "jenis"),
    "by": ("by", "technician", "closed_by", "teknisi"),
}
NEEDED = ("order", "machine", "opened", "closed")
PLANNED = frozenset({"preventive", "planned", "inspection", "preventif", "terencana", "inspeksi", "pm"})
NO_FAULT = frozenset({"no_fault_found", "nff", "no_fault", "none", "tidak_ada_kerusakan", "normal"})


@dataclass(frozen=True, slots=True)
class WorkOrders:
    """What an import gave: labels, planned orders (which name no fault), and refused rows by number."""

    labels: tuple[Label, ...]
    planned: int
    refused: tuple[tuple[int, Rejected], ...] = field(default=())


def read_work_orders(
    lines: Iterable[str],
    *,
    machines: frozenset[str],
    said_ns: int,
    zone: tzinfo = UTC,
    faults: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> WorkOrders | Rejected:
    """Read an export. machines: the plant's ids; said_ns: when it is imported; zone: of times without an
    offset; faults: their code -> ours (others become "unknown"); names: our column -> theirs, where guessing
    fails.

    The same export read twice gives the same label ids, so nothing counts twice. Rejected when columns are
    missing.
    """
    text = list(lines)
    if not text:
        return Rejected("work_orders_empty", "the file has no header")
    delimiter = max(",;\t", key=text[0].count)
    rows = csv.reader(text, delimiter=delimiter)
    header = [_key(name) for name in next(rows)]
    places = _places(header, names or {})
    missing = [need for need in NEEDED if need not in places]
    if missing:
        return Rejected("work_orders_columns", f"no column for {', '.join(missing)} in {', '.join(header)}")
    labels: list[Label] = []
    refused: list[tuple[int, Rejected]] = []
    planned = 0
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if number > ROWS_MAX:
            refused.append(
                (number, Rejected("work_orders_too_many", f"only {ROWS_MAX} rows are read at once"))
            )
            break
        cells = {ours: row[place].strip() if place < len(row) else "" for ours, place in places.items()}
        if _key(cells.get("kind", "")) in PLANNED:
            planned += 1
            continue
        found = _label(cells, machines, said_ns, zone, faults or {})
        if isinstance(found, Rejected):
            refused.append((number, found))
        else:
            labels.append(found)
    return WorkOrders(tuple(labels), planned, tuple(refused))


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.strip().lower().lstrip("\ufeff")).strip("_")


def _places(header: list[str], names: Mapping[str, str]) -> dict[str, int]:
    places = {}
    for ours, guesses in COLUMN_NAMES.items():
        wanted = (_key(names[ours]),) if ours in names else guesses
        place = next((header.index(name) for name in wanted if name in header), None)
        if place is not None:
            places[ours] = place
    return places


def _label(
    cells: Mapping[str, str], machines: frozenset[str], said_ns: int, zone: tzinfo, faults: Mapping[str, str]
) -> Label | Rejected:
    if cells["machine"] not in machines:
        return Rejected("unknown_machine", cells["machine"])
    code = _key(cells.get("fault", ""))
    ours = {_key(theirs): fault for theirs, fault in faults.items()}.get(code, UNKNOWN_FAULT)
    denied = code in NO_FAULT
    try:
        return Label(
            label_id=f"wo:{cells['order']}",
            machine=cells["machine"],
            verdict=Verdict.FALSE_ALARM if denied else Verdict.CONFIRMED,
            from_ns=_time_ns(cells["opened"], zone),
            to_ns=_time_ns(cells["closed"], zone),
            said_ns=said_ns,
            by=cells.get("by") or "work orders",
            fault="" if denied else ours,
            component=cells.get("component", ""),
            source=Source.WORK_ORDER,
        )
    except ValueError as error:
        return Rejected("work_order_refused", str(error))


def _time_ns(text: str, zone: tzinfo) -> int:
    """ISO 8601 to ns; without an offset the plant's zone holds. Raises ValueError."""
    when = datetime.fromisoformat(text)
    when = when if when.tzinfo else when.replace(tzinfo=zone)
    return int(when.timestamp()) * 10**9
