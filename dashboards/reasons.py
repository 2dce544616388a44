"""Why, in words: the evidence of the models as sentences in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.language import SWAP_SEPARATORS, Language
from dashboards.words import channel, sentence_case
from ingest.contract.reasons import SENTENCES
from ingest.contract.rows import Reason

MAX_CHARS = 300


def sentence(reason: Reason, language: Language) -> str:
    """One line of evidence. A code that this version does not know is shown with its values."""
    known = SENTENCES.get(reason.code)
    if known is not None:
        template = known["en"] if language.code == "en" else known["id"]
        try:
            return sentence_case(template.format_map(_shown(reason.values, language))[:MAX_CHARS])
        except (KeyError, ValueError):
            return _plain(reason, language)  # Models of another version: show what they sent as it is.
    return _plain(reason, language)


def top(reasons: Sequence[Reason], language: Language, n: int = 3) -> tuple[str, ...]:
    """The weightiest reasons in words, the heaviest first."""
    heaviest = sorted(reasons, key=lambda reason: -reason.weight)[:n]
    return tuple(sentence(reason, language) for reason in heaviest)


class _Local(float):
    """A number that formats itself with the reader's separators."""

    __slots__ = ("swap",)
    swap: bool

    def __format__(self, spec: str) -> str:
        text = super().__format__(spec)
        return text.translate(SWAP_SEPARATORS) if self.swap else text


def _shown(values: Mapping[str, float | str], language: Language) -> dict[str, _Local | str]:
    shown: dict[str, _Local | str] = {}
    for name, value in values.items():
        if isinstance(value, str):
            shown[name] = (
                channel(value, language) if name in {"channel", "other"} else value.replace("_", " ")
            )
        else:
            number = _Local(value)
            number.swap = language.code != "en"
            shown[name] = number
    return shown


def _plain(reason: Reason, language: Language) -> str:
    words = reason.code.replace("_", " ").replace(".", " ")
    values = ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else language.number(value, 2)}"
        for name, value in reason.values.items()
    )
    return (f"{words}: {values}" if values else words)[:MAX_CHARS]
