"""The models' advice as a request to control: words in the plant's language, evidence bound by its hash."""

from __future__ import annotations

import hashlib
import re

from ingest.contract.approval.messages import VERSION, Request, evidence_sha256
from ingest.contract.reasons import Language, sentence
from ingest.contract.rows import Reason, StopAdvice

NS_PER_MS = 1_000_000
MAX_FACTS = 24
MAX_FACT_CHARS = 80
MAX_REASON_CHARS = 280
TITLE: dict[Language, str] = {"en": "Why", "id": "Alasan"}


def request_of(advice: StopAdvice, site: str, language: Language) -> bytes:
    """Canonical bytes of the request. The same advice gives the same dedup key.

    Raises ValueError when a field breaks the request's limits.
    """
    words = [_words(reason, language) for reason in advice.evidence] or [advice.reason]
    facts = [
        {"name": f"{TITLE[language]} {number}", "value": text[:MAX_FACT_CHARS]}
        for number, text in enumerate(words[:MAX_FACTS], 1)
    ]
    evidence = {"facts": facts, "trend": [], "trend_unit": ""}
    said = "; ".join(words)
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
        reason=said[:MAX_REASON_CHARS],
        dedup_key=hashlib.sha256(told.encode()).hexdigest()[:32],
        evidence=evidence,
    ).to_bytes()


def _words(reason: Reason, language: Language) -> str:
    try:
        return sentence(reason, language)
    except (KeyError, ValueError):  # a code newer than the sentences: its name says more than nothing
        return reason.code
