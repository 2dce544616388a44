"""QR labels for machines: scanned at the machine, they open what there is to decide about it."""

from __future__ import annotations

import io
from pathlib import Path

import segno

from ingest.contract.ids import check_id


def machine_url(origin: str, machine: str) -> str:
    """The approver's page at one machine.

    >>> machine_url("https://approve.plant.example", "kiln-1")
    'https://approve.plant.example/#/m/kiln-1'
    """
    return f"{origin}/#/m/{check_id(machine, 'machine')}"


def qr_svg(origin: str, machine: str) -> bytes:
    """A QR code that survives a quarter of dirt. It holds an address and nothing secret."""
    out = io.BytesIO()
    segno.make(machine_url(origin, machine), error="q", micro=False).save(out, kind="svg", scale=8, border=4)
    return out.getvalue()


def write_labels(folder: Path, origin: str, machines: tuple[str, ...]) -> list[Path]:
    """One SVG a machine, to print. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for machine in machines:
        path = folder / f"{machine}.svg"
        path.write_bytes(qr_svg(origin, machine))
        made.append(path)
    return made
