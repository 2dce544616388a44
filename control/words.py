"""What people read, in English and Indonesian: one table, shared with the approver's page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

LANGUAGES = ("en", "id")
_TABLE = Path(__file__).parent / "page" / "static" / "words.json"


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    return cast(Mapping[str, Mapping[str, str]], json.loads(_TABLE.read_text(encoding="utf-8")))


def words(language: str) -> Mapping[str, str]:
    """All texts of one language."""
    return {name: both[language] for name, both in _table().items()}


def languages(accept: str) -> str:
    """The language to answer in, from an Accept-Language header; English when it names neither.

    >>> languages("id-ID,id;q=0.9"), languages("de, en"), languages("")
    ('id', 'en', 'en')
    """
    for part in accept.split(","):
        wanted = part.split(";")[0].strip().lower()[:2]
        if wanted in LANGUAGES:
            return wanted
    return LANGUAGES[0]
