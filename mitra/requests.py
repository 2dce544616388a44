"""The models' advice as a request to control: words in the plant's language, evidence bound by its hash.

The reason that people sign is one text, in the plant's language. The evidence says why in both languages, so
that everybody reads it in their own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from dashboards.language import Language
from dashboards.reasons import sentence
from ingest.contract.approval.messages import VERSION, Request, evidence_sha256
from ingest.contract.rows import StopAdvice

NS_PER_MS = 1_000_000
MAX_FACTS = 12
"""In each language; a request takes 24."""
MAX_FACT_CHARS = 80
MAX_REASON_CHARS = 280
TITLE = {"en": "Why", "id": "Alasan"}


def request_of(advice: StopAdvice, site: str, language: str) -> bytes:
    """Canonical bytes of the request, in the words of the screens. The same advice gives the same dedup key.

    language: `en` or `id`. Raises ValueError when a field breaks the request's limits.
    """
    words = _words(advice, language)
    facts = [
        {"name": f"{title} {number}", "value": text[:MAX_FACT_CHARS]}
        for code, title in TITLE.items()
        for number, text in enumerate(_words(advice, code)[:MAX_FACTS], 1)
    ]
    evidence = {"facts": facts, "trend": [], "trend_unit": ""}
    told = f"{advice.machine} {advice.cause} {advice.time_ns}"
    return Request(
        v=VERSION,
        site=site,
        machine=advice.machine,
        model_id=re.sub(r"[^a-z0-9-]", "-", advice.model_id.lower())[:64],
        model_sha256=hashlib.sha256(advice.model_id.encode()).hexdigest(),
        window={"start_ms": advice.window_ns[0] // NS_PER_MS, "end_ms": advice.window_ns[1] // NS_PER_MS},
        evidence_sha256=evidence_sha256(evidence),
        risk=min(max(advice.risk, 0.0), 1.0),
        reason=_joined(words),
        dedup_key=hashlib.sha256(told.encode()).hexdigest()[:32],
        evidence=evidence,
    ).to_bytes()


def _words(advice: StopAdvice, language: str) -> list[str]:
    reader = Language(language, ZoneInfo("UTC"))
    return [sentence(reason, reader) for reason in advice.evidence] or [advice.reason]


def _joined(words: Sequence[str]) -> str:
    """As many whole sentences as a reason takes: half of one could mean something else.

    >>> len(_joined(["a" * 200, "b" * 200]))
    200
    """
    said = words[0][:MAX_REASON_CHARS]
    for more in words[1:]:
        if len(said) + len(more) + 2 > MAX_REASON_CHARS:
            break
        said += f"; {more}"
    return said
