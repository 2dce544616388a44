"""What stands in a cement works, in the words of the trade in Indonesian and English.

Ratings are typical of a works of about one million tonnes a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Criticality = Literal["low", "normal", "high", "critical"]


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the works and its lines' stem, in both languages."""

    name_id: str
    name_en: str
    line: str


@dataclass(frozen=True, slots=True)
class Template:
    """A machine that such a works has. stem: of its id; kind: of its physics; bearing: designation."""

    stem: str
    kind: str
    name_id: str
    name_en: str
    area: str
    power_kw: float
    rpm: float
    bearing: str
    criticality: Criticality = "normal"
    two_shifts: bool = False


AREAS: Final[dict[str, Area]] = {
    "quarry": Area("Tambang dan penghancur", "Quarry and crushing", "CR"),
    "raw": Area("Penggilingan bahan baku", "Raw milling", "RM"),
    "kiln": Area("Tanur dan pendingin", "Kiln and cooler", "KL"),
    "cement": Area("Penggilingan semen", "Cement milling", "CM"),
    "packing": Area("Pengepakan", "Packing", "PK"),
    "utility": Area("Utilitas", "Utilities", "UT"),
}

TEMPLATES: Final = (
    Template(
        "cooling-pump",
        "pump",
        "Pompa air pendingin",
        "Cooling water pump",
        "utility",
        75,
        1480,
        "6313",
        "high",
    ),
    Template("id-fan", "fan", "Kipas isap utama", "Induced draft fan", "kiln", 250, 990, "6314", "critical"),
    Template(
        "raw-mill-drive",
        "gearbox",
        "Penggerak gilingan baku",
        "Raw mill drive",
        "raw",
        400,
        1485,
        "6314",
        "critical",
    ),
    Template(
        "air-compressor",
        "compressor",
        "Kompresor udara",
        "Air compressor",
        "utility",
        110,
        2960,
        "6313",
        "high",
    ),
    Template(
        "clinker-conveyor", "conveyor", "Konveyor klinker", "Clinker conveyor", "kiln", 45, 1475, "6310"
    ),
    Template(
        "crusher-drive",
        "gearbox",
        "Penggerak penghancur",
        "Crusher drive",
        "quarry",
        315,
        1485,
        "6314",
        "high",
        True,
    ),
    Template("cooler-fan", "fan", "Kipas pendingin klinker", "Clinker cooler fan", "kiln", 90, 1480, "6313"),
    Template("process-pump", "pump", "Pompa air proses", "Process water pump", "utility", 37, 2950, "6310"),
    Template(
        "cement-mill-drive",
        "gearbox",
        "Penggerak gilingan semen",
        "Cement mill drive",
        "cement",
        355,
        1485,
        "6314",
        "critical",
    ),
    Template(
        "limestone-conveyor",
        "conveyor",
        "Konveyor batu kapur",
        "Limestone conveyor",
        "quarry",
        55,
        1480,
        "6313",
        "normal",
        True,
    ),
    Template("separator-fan", "fan", "Kipas separator", "Separator fan", "cement", 160, 1485, "6314"),
    Template(
        "kiln-drive", "gearbox", "Penggerak tanur", "Kiln main drive", "kiln", 280, 990, "6314", "critical"
    ),
    Template("bag-filter-fan", "fan", "Kipas penyaring debu", "Bag filter fan", "packing", 55, 1480, "6313"),
    Template(
        "packer-conveyor",
        "conveyor",
        "Konveyor pengepakan",
        "Packer conveyor",
        "packing",
        22,
        1465,
        "6308",
        "normal",
        True,
    ),
    Template(
        "conveying-compressor",
        "compressor",
        "Kompresor angkut semen",
        "Conveying compressor",
        "cement",
        132,
        1485,
        "6313",
    ),
    Template("feed-elevator", "conveyor", "Elevator umpan", "Feed bucket elevator", "raw", 75, 1480, "6313"),
    Template("slurry-pump", "pump", "Pompa lumpur", "Slurry pump", "raw", 90, 1480, "6313"),
    Template("exhaust-fan", "fan", "Kipas buang", "Exhaust fan", "quarry", 45, 1475, "6310", "low"),
    Template(
        "cement-elevator", "conveyor", "Elevator semen", "Cement bucket elevator", "packing", 45, 1475, "6310"
    ),
    Template("fire-pump", "pump", "Pompa sirkulasi", "Circulation pump", "utility", 30, 1470, "6308", "low"),
)
