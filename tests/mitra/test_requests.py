"""What technicians read before they sign: whole sentences, words for channels, the plant's decimal mark."""

from __future__ import annotations

import json

import pytest

from ingest.contract.rows import Reason, StopAdvice
from mitra.requests import MAX_REASON_CHARS, request_of

EVIDENCE = (
    Reason("bearing_line", {"part": "BPFO", "prominence": 7.0, "axis": "y"}),
    Reason("level_rise", {"channel": "y.envelope_bpfo", "factor": 22.2, "db": 27.0}),
    Reason("impacts", {"kurtosis": 9.9}),
    Reason("level_rise", {"channel": "x.band_3000_6000_g", "factor": 5.1, "db": 14.0}),
    Reason("level_rise", {"channel": "x.order_1_g", "factor": 4.4, "db": 13.0}),
    Reason("harmonics", {"factor": 3.0}),
)


def asked(language: str, evidence: tuple[Reason, ...] = EVIDENCE) -> dict[str, object]:
    advice = StopAdvice(
        machine="pump-1",
        time_ns=2_000_000_000,
        cause="bearing_outer",
        risk=0.9,
        reason="bearing_outer",
        evidence=evidence,
        model_id="online-1",
        window_ns=(1_000_000_000, 2_000_000_000),
    )
    found: dict[str, object] = json.loads(request_of(advice, "plant-1", language))
    return found


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_reason_is_whole_sentences_without_names_of_columns(language: str) -> None:
    request = asked(language)
    reason = str(request["reason"])
    title = {"en": "Why", "id": "Alasan"}[language]
    both = request["evidence"]["facts"]
    assert len(both) == 2 * len(EVIDENCE), "everybody reads why in their own language"
    facts = [one["value"] for one in both if one["name"].startswith(title)]
    assert len(facts) == len(EVIDENCE)
    assert len(reason) <= MAX_REASON_CHARS
    assert "_" not in reason + " ".join(facts)
    told = reason.split("; ")
    assert 2 <= len(told) <= len(facts)
    assert all(one.startswith(two) for one, two in zip(told, facts, strict=False))


def test_numbers_follow_the_plants_language() -> None:
    assert "22,2" in str(asked("id")["reason"])
    assert "22.2" in str(asked("en")["reason"])


def test_the_same_advice_has_the_same_key_in_both_languages() -> None:
    assert asked("id")["dedup_key"] == asked("en")["dedup_key"]
