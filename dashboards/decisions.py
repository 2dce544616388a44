"""What a person decided about a model, and what came of it, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboards.language import N_, Language
from dashboards.registry_files import AnswerFile, CheckFile, Family, metric
from ingest.contract.actions import MODEL_KINDS, Action

MIN_FAULTS = 5
"""As the gate's: with fewer confirmed failures nobody can tell two models apart."""
SLOW_NS = 90_000_000_000
CAME: dict[str, str] = {
    "done": N_("Done."),
    "changed": N_("Not done: champion or challenger had changed since you looked. Decide again."),
    "too_old": N_("Not done: it waited for more than a day, so nobody may still mean it. Decide again."),
    "no_golden": N_(
        "Not done: the gate has no golden cases. Put them into training/golden.csv of the data folder, then "
        "decide again."
    ),
    "gate": N_("Not done: the gate did not pass, the champion stays."),
    "untrusted": N_("Not done: the files of a version are not what was signed. Restore them, or roll back."),
    "refused": N_("Not done: the registry refused it."),
}
CHECKS: dict[str, str] = {
    "enough_faults": N_("Confirmed failures: {0}, at least {1} needed"),
    "enough_healthy": N_("Healthy machine-days: {0}, at least {1} needed"),
    "enough_golden": N_("Golden cases: {0}, at least {1} needed"),
    "not_worse": N_("Caught {0} of {1} (champion {2}); false alarms {3} (champion {4}, allowed {5})"),
    "golden_accuracy": N_("Golden cases right: {0} of {1}"),
    "golden_kept": N_("No golden case lost that the champion gets right"),
    "labels_consistent": N_("Labels that look wrong: {0} %, at most {1} % allowed"),
    "labels_unmeasured": N_(
        "Not measured: whether labels contradict each other. Confirm failures on more machines, mark what "
        "was a false alarm, and train again."
    ),
}
FIGURE = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Decision:
    """One word of a person about a model; answer: None while nobody has carried it out."""

    action: Action
    answer: AnswerFile | None

    def slow(self, now_ns: int) -> bool:
        """Whether it has waited for longer than a server that runs would let it."""
        return self.answer is None and now_ns - self.action.time_ns > SLOW_NS


def decisions(
    name: str, newest_first: Iterable[Action], answered: Mapping[str, AnswerFile]
) -> list[Decision]:
    """What people decided about one model, the newest first."""
    return [
        Decision(action, answered.get(action.action_id))
        for action in newest_first
        if action.kind in MODEL_KINDS and action.values.get("model") == name
    ]


def faults_behind(family: Family, confirmed: int) -> int:
    """Confirmed failures that a comparison could stand on: those at its training, or those known by now."""
    figure = metric(family.challenger, "recall", "")
    return max(figure.count if figure else 0, confirmed)


def check_words(check: CheckFile, language: Language) -> str:
    """A look of the gate as a sentence in the reader's language."""
    sentence = CHECKS.get(check.code)
    if sentence is None:
        return f"{check.code.replace('_', ' ')}: {check.detail}"
    figures = FIGURE.findall(check.detail)
    if len(figures) < sentence.count("{"):
        return f"{language.say(sentence).split('{')[0].rstrip(' :')}: {check.detail}"
    said = [language.number(float(one), len(one.partition(".")[2])) for one in figures]
    return language.say(sentence).format(*said)
