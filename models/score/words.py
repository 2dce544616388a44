"""Reasons as sentences, in Indonesian and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ingest.contract.rows import Reason

Language = Literal["en", "id"]

SENTENCES: dict[Language, dict[str, str]] = {
    "en": {
        "score_level_high": "{channel} is above its healthy level: {value} against {expected}, {times} σ",
        "score_level_low": "{channel} is below its healthy level: {value} against {expected}, {times} σ",
        "score_new_shape": "{channel} moves as it never did before: {value}, {times} times its rare novelty",
    },
    "id": {
        "score_level_high": "{channel} di atas tingkat sehatnya: {value}, seharusnya {expected}, {times} σ",
        "score_level_low": "{channel} di bawah tingkat sehatnya: {value}, seharusnya {expected}, {times} σ",
        "score_new_shape": "{channel} bergerak seperti belum pernah: {value}, {times} kali kebaruan langka",
    },
}


def sentence(reason: Reason, language: Language = "en") -> str:
    """One reason in words. Raises KeyError for a code that has no sentence.

    >>> from ingest.contract.rows import Reason
    >>> low = Reason("score_level_low", {"channel": "Flow", "value": 27.1, "expected": 32.0, "times": 9.25})
    >>> sentence(low, "id")
    'Flow di bawah tingkat sehatnya: 27.1, seharusnya 32, 9.25 σ'
    """
    said = {
        key: f"{value:.4g}" if isinstance(value, float) else value for key, value in reason.values.items()
    }
    return SENTENCES[language][reason.code].format_map(said)
