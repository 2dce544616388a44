"""No sentence lacks its Indonesian; numbers follow the reader."""

from __future__ import annotations

import re
import string
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import dashboards
from dashboards.extract import sentences
from dashboards.language import Language, catalog
from dashboards.reasons import sentence
from dashboards.words import channel
from ingest.contract.reasons import SENTENCES
from ingest.contract.rows import Reason
from models.online.columns import UNBALANCE, VIBRATION

JAKARTA = ZoneInfo("Asia/Jakarta")
ID, EN = Language("id", JAKARTA), Language("en", JAKARTA)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_sentence_is_translated_and_keeps_its_fields() -> None:
    found = {message.id: message for message in catalog("id") if message.id}
    missing = [message.id for message in sentences() if message.id and message.id not in found]
    assert missing == [], "run `python -m dashboards.extract` and translate them"
    empty = [key for key, message in found.items() if not message.string or message.fuzzy]
    assert empty == []
    wrong = [key for key, message in found.items() if fields(str(key)) != fields(str(message.string))]
    assert wrong == []


def test_the_catalogue_holds_nothing_that_nobody_says() -> None:
    said = {message.id for message in sentences()}
    assert [message.id for message in catalog("id") if message.id and message.id not in said] == []


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_every_reason_has_a_sentence_in_both_languages(code: str) -> None:
    names = fields(SENTENCES[code]["en"])
    values: dict[str, float | str] = dict.fromkeys(names, 1234.5)
    for name in ("zone", "channel", "part", "axis"):
        if name in values:
            values[name] = "x"
    english, indonesian = sentence(Reason(code, values), EN), sentence(Reason(code, values), ID)
    assert english != indonesian
    assert "{" not in english + indonesian


def test_reasons_use_the_reader_s_decimal_mark() -> None:
    reason = Reason("impacts", {"kurtosis": 7.25})
    assert "7.2" in sentence(reason, EN)
    assert "7,2" in sentence(reason, ID)


def test_channels_are_named_as_people_name_them() -> None:
    assert channel("y.envelope_rms_g", EN) == "envelope level (y axis)"
    assert channel("y.envelope_rms_g", ID) == "tingkat selubung (sumbu y)"
    assert channel("Temperature/motor_de", ID) == "suhu (motor de)"
    assert channel("velocity_rms_mm_s", EN) == "vibration velocity"
    assert channel("Flow/feed", EN) == "Flow/feed"


def test_everything_that_the_models_watch_has_words_in_both_languages() -> None:
    watched = [watch.name for watch in (*VIBRATION, *UNBALANCE.values()) if watch.name != "unbalance"]
    for name in (*watched, *UNBALANCE):
        english, indonesian = channel(name, EN), channel(name, ID)
        assert english != name.replace("_", " "), f"{name} has no words"
        assert indonesian != english, name


def test_no_sentence_hides_in_an_f_string() -> None:
    hidden = [
        f"{path.name}: {line.strip()}"
        for path in Path(dashboards.__file__).parent.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"""f["'].*N_\(""", line)
    ]
    assert hidden == [], "extraction does not look inside f-strings"


def test_a_reason_of_another_version_is_shown_as_it_is() -> None:
    assert sentence(Reason("brand_new", {"speed_hz": 3.0}), EN) == "brand new: speed hz 3.00"
    assert sentence(Reason("impacts", {}), EN) == "impacts"


@pytest.mark.parametrize(
    ("value", "digits", "indonesian", "english"),
    [
        (1234567.891, 2, "1.234.567,89", "1,234,567.89"),
        (-0.001, 2, "0,00", "0.00"),
        (0.0, 0, "0", "0"),
        (None, 1, "–", "–"),
        (float("nan"), 1, "–", "–"),
        (float("inf"), 1, "–", "–"),
    ],
)
def test_numbers(value: float | None, digits: int, indonesian: str, english: str) -> None:
    assert ID.number(value, digits) == indonesian
    assert EN.number(value, digits) == english


def test_money_dates_and_spans() -> None:
    assert ID.money(1234567) == "Rp1.234.567,00"
    assert ID.money(-5.5) == "-Rp5,50"
    assert Language("en", JAKARTA, "EUR").money(3) == "€3.00"
    assert ID.when(1_795_489_500_000_000_000) == "Selasa, 24 Nov 2026 10.05"
    assert EN.when(None) == "–"
    assert EN.span(59) == "59\u00a0s"
    assert ID.span(3 * 86_400) == "3\u00a0hari"
    assert EN.percent(0.123, 1) == "12.3\u00a0%"
