"""Closed work orders as labels: any maintenance system exports a CSV, and its columns have many names."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from ingest.contract.actions import Verdict
from ingest.contract.rejected import Rejected
from models.labels.label import UNKNOWN_FAULT, Label, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.labels.book import LabelBook

ROWS_MAX = 100_000
REVISION = ":r"  # the second word of order 1001 is `wo:1001:r2`
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

    >>> lines = ["wo,asset,opened,closed,cause", "7,pump-1,2026-03-01,2026-03-02,BRG"]
    >>> read = read_work_orders(
    ...     lines, machines=frozenset({"pump-1"}), said_ns=2 * 10**18, faults={"BRG": "bearing_outer"}
    ... )
    >>> [(one.label_id, one.machine, one.fault) for one in read.labels]
    [('wo:7', 'pump-1', 'bearing_outer')]
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
    cells = (
        (number, {ours: row[at].strip() if at < len(row) else "" for ours, at in places.items()})
        for number, row in enumerate(rows, start=2)
        if any(cell.strip() for cell in row)
    )
    return _read(cells, machines, said_ns, zone, faults or {})


def read_posted_orders(
    orders: Sequence[object],
    *,
    machines: frozenset[str],
    said_ns: int,
    zone: tzinfo = UTC,
    faults: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> WorkOrders:
    """The same from JSON objects, one an order, under the same names and rules; fields of no use are passed
    over.

    Refused orders are numbered from 1 in their order. An order without a closing time is still open: it is
    refused as `not_closed` and may be posted again.
    """
    cells: list[tuple[int, Mapping[str, str]]] = []
    refused: list[tuple[int, Rejected]] = []
    for number, order in enumerate(orders, start=1):
        if not isinstance(order, Mapping):
            refused.append(
                (number, Rejected("work_order_refused", "an order is an object of names and texts"))
            )
            continue
        plain = {
            _key(str(name)): str(value).strip()
            for name, value in order.items()
            if isinstance(value, str | int) and not isinstance(value, bool)
        }
        places = _places(list(plain), names or {})
        found = {ours: list(plain.values())[at] for ours, at in places.items()}
        missing = [need for need in NEEDED if not found.get(need)]
        if missing == ["closed"]:
            refused.append((number, Rejected("not_closed", found["order"])))
        elif missing:
            refused.append((number, Rejected("work_order_refused", f"no value for {', '.join(missing)}")))
        else:
            cells.append((number, found))
    read = _read(cells, machines, said_ns, zone, faults or {})
    return WorkOrders(
        read.labels, read.planned, tuple(sorted((*refused, *read.refused), key=lambda one: one[0]))
    )


def revised(labels: Iterable[Label], book: LabelBook) -> tuple[Label, ...]:
    """What a book does not know yet: new orders as they are, changed orders as corrections of what they said.

    An order that says again what it last said is left out, so that nothing counts twice.
    """
    known: dict[str, list[Label]] = {}
    for label in book.labels.values():
        known.setdefault(label.label_id.split(REVISION)[0], []).append(label)
    found = []
    for label in labels:
        past = known.setdefault(label.label_id, [])
        if not past:
            new = label
        elif _says(past[-1]) == _says(label):
            continue
        else:
            new = replace(
                label, label_id=f"{label.label_id}{REVISION}{len(past) + 1}", corrects=past[-1].label_id
            )
        past.append(new)
        found.append(new)
    return tuple(found)


def _says(label: Label) -> tuple[object, ...]:
    return (label.machine, label.verdict, label.from_ns, label.to_ns, label.fault, label.component)


def _read(
    cells: Iterable[tuple[int, Mapping[str, str]]],
    machines: frozenset[str],
    said_ns: int,
    zone: tzinfo,
    faults: Mapping[str, str],
) -> WorkOrders:
    labels: list[Label] = []
    refused: list[tuple[int, Rejected]] = []
    planned = 0
    for number, row in cells:
        if number > ROWS_MAX:
            too_many = Rejected("work_orders_too_many", f"only {ROWS_MAX} rows are read at once")
            refused.append((number, too_many))
            break
        if _key(row.get("kind", "")) in PLANNED:
            planned += 1
            continue
        found = _label(row, machines, said_ns, zone, faults)
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
