"""What is missing, refused or not allowed is said in words, in both languages."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.language import Language
from dashboards.visit import commands
from dashboards.words import COUNTERS, GAPS, PRIORITIES, PRIORITY_LETTER, REFUSALS, called
from edge import intake, outbox, place, rescue, room
from ingest.contract.channels import THINNED_REASON

ROOT = Path(__file__).parents[2]
EN, ID = (Language(code, ZoneInfo("Asia/Jakarta")) for code in ("en", "id"))
NOON_NS = 1_795_489_500_000_000_000  # 10.05 in Jakarta
HOUR_NS = 3_600_000_000_000
TOLD_TO_AN_EDGE = {"committed_incomplete", "committed_ranges"}
"""Refused by an edge that reads its host's commands: no journal counts them."""


def quoted(pattern: str) -> set[str]:
    """What this pattern finds between quotes anywhere in ingest."""
    return {
        found
        for file in (ROOT / "ingest").rglob("*.py")
        for found in re.findall(pattern, file.read_text("utf-8"))
    }


def test_every_reason_why_telemetry_is_missing_has_words() -> None:
    declared = {room.FULL, room.AGED, outbox.DAMAGED, rescue.CORRUPT, intake.NOT_ACCEPTED}
    declared |= {place.BROKEN, place.HUNG, THINNED_REASON}
    seen = quoted(r'Gap\([^()]*(?:\([^()]*\)[^()]*)*,\s*"([a-z_]+)"\s*\)')
    assert {"silence", "sequence", "host_overloaded"} <= seen
    assert declared | seen <= set(GAPS)
    for code in GAPS:
        assert called(GAPS, code, ID) != called(GAPS, code, EN)


def test_every_reason_why_a_message_is_refused_has_words() -> None:
    codes = quoted(r'Rejected\(\s*"([a-z_0-9]+)"') | quoted(r'"refused_([a-z_]+)"')
    assert {"oversize", "rate_limit", "void"} <= codes
    assert codes - TOLD_TO_AN_EDGE <= set(REFUSALS)
    for code in REFUSALS:
        assert called(REFUSALS, code, ID) != called(REFUSALS, code, EN)


def test_everything_that_the_journal_counts_has_words() -> None:
    counted = quoted(r'(?:self\._count|Counted)\("([a-z_]+)"\)') | quoted(r'\("(stored_[a-z_]+)", len')
    counted = {name for name in counted if not name.startswith("refused_")}
    assert {"births", "duplicates", "stored_rows"} <= counted
    assert counted <= set(COUNTERS)
    for code in COUNTERS:
        assert called(COUNTERS, code, ID) != called(COUNTERS, code, EN)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("id", "kotak keluar penuh, yang terlama dibuang"),
        ("en", "the outbox was full, the oldest were dropped"),
    ],
)
def test_a_gap_tells_its_reason_in_the_reader_s_language(screens: Any, language: str, words: str) -> None:
    for path in ("/audit", "/machines/pump-001?tab=history"):
        page = screens.client.get(path, headers={"Cookie": f"mitra_language={language}"}).text
        assert words in page.lower()
        assert "outbox full" not in page
        assert "outbox_full" not in page


def test_a_gap_that_ends_on_another_day_names_the_day() -> None:
    assert ID.until(NOON_NS, NOON_NS + HOUR_NS) == "11.05.00"
    assert ID.until(NOON_NS, NOON_NS + 24 * HOUR_NS) == "Rabu, 25 Nov 2026 10.05"


def test_a_single_day_is_named_once_and_times_are_written_as_readers_write_them() -> None:
    day = date(2026, 11, 24)
    assert ID.days(day, day) == "24 Nov 2026"
    assert ID.days(day, date(2026, 11, 25)) == "24 Nov 2026 – 25 Nov 2026"
    assert (ID.time_of_day("18:00"), EN.time_of_day("18:00")) == ("18.00", "18:00")


def test_the_letter_of_a_priority_is_the_first_of_its_word() -> None:
    for priority in PRIORITIES:
        for language in (EN, ID):
            letter = called(PRIORITY_LETTER, priority, language).lower()
            assert letter in {word[0] for word in called(PRIORITIES, priority, language).lower().split()}
    assert len({called(PRIORITY_LETTER, priority, ID) for priority in PRIORITIES}) == len(PRIORITIES)


def test_whoever_has_another_role_is_not_told_to_get_a_name(screens: Any) -> None:
    screens.client.cookies.set("mitra_language", "en")
    screens.sign_in("data_scientist")
    page = screens.client.get("/oee").text
    assert "As Data scientist you only look here." in page
    assert "Acting needs a name" not in page


def test_what_is_to_be_typed_is_set_apart_and_nothing_slips_through_unescaped(screens: Any) -> None:
    page = screens.client.get("/audit").text
    assert "<code>mitra audit verify</code>" in page
    assert "`" not in page
    assert "<script>" not in commands("`<script>`")


@pytest.mark.parametrize("page", ["energy", "oee"])
def test_days_that_cannot_be_are_refused_with_a_sentence(screens: Any, page: str) -> None:
    screens.client.cookies.set("mitra_language", "id")
    answer = screens.client.get(f"/{page}?first=2026-11-20&last=2026-11-01", headers={"Accept": "text/html"})
    assert answer.status_code == 422
    assert "Satu periode memuat 1 sampai 400 hari" in answer.text
