"""Attack: an insider turns a fifth of the labels into their opposite, so that a worse model wins."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from ingest.contract.actions import Verdict
from models.labels import Label, Seen, noise_share, weigh
from models.registry import Evaluation, GoldenCase, Tally, judge

DAY = 24 * 3_600 * 10**9
SHARE = 0.2


def labels(count: int = 200) -> list[Label]:
    """Half confirmed faults, half false alarms, by five people, spread over a year."""
    return [
        Label(
            f"l{n}",
            f"pump-{n}",
            Verdict.CONFIRMED if n % 2 else Verdict.FALSE_ALARM,
            from_ns=n * DAY,
            to_ns=n * DAY + DAY // 2,
            said_ns=400 * DAY + n * DAY,
            by=f"person-{n % 5}",
            fault="bearing_outer" if n % 2 else "",
        )
        for n in range(count)
    ]


def flipped(label: Label, by: str) -> Label:
    sick = label.verdict is Verdict.CONFIRMED
    verdict = Verdict.FALSE_ALARM if sick else Verdict.CONFIRMED
    return replace(label, verdict=verdict, fault="" if sick else "bearing_outer", by=by)


def poison(honest: list[Label]) -> tuple[list[Label], set[str]]:
    chosen = set(random.Random(4).sample([one.label_id for one in honest], int(SHARE * len(honest))))
    return [flipped(one, "mallory") if one.label_id in chosen else one for one in honest], chosen


def seen(label: Label) -> Seen:
    """What the sensors showed, whatever anybody says of it."""
    sick = int(label.label_id[1:]) % 2 == 1
    return Seen(12.0, 0.9) if sick else Seen(96.0, 0.1)


def test_label_poisoning_of_a_fifth_trains_nothing() -> None:
    given, chosen = poison(labels())
    weighed = weigh(given, seen)
    admitted = {one.label.label_id for one in weighed if one.admitted}
    assert not admitted & chosen, "a label against the sensors waits for a second person"
    assert len(admitted) > 0.7 * len(given), "and honest labels still teach"


def test_label_poisoning_cannot_be_released_by_the_poisoner() -> None:
    from models.labels import Release  # noqa: PLC0415

    given, chosen = poison(labels())
    releases = [Release(one, "mallory", "trust me") for one in chosen]
    admitted = {one.label.label_id for one in weigh(given, seen, releases=releases) if one.admitted}
    assert not admitted & chosen


def test_label_poisoning_without_sensors_is_seen_as_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.4
    probability = np.clip(np.where(truth, 0.85, 0.12) + rng.normal(0, 0.08, 400), 0, 1)
    assert noise_share(truth, probability) < 0.03
    assert noise_share(truth ^ (rng.random(400) < SHARE), probability) > 0.1


def test_label_poisoning_promotes_no_model() -> None:
    """A challenger that learnt the lies does better on them, and worse on the cases that experts settled."""
    golden = tuple(GoldenCase(f"g{n}", "pump", n % 2 == 0) for n in range(20))
    right = {case.case_id: case.faulty for case in golden}
    fooled = {case_id: (not value if n < 6 else value) for n, (case_id, value) in enumerate(right.items())}
    champion = Evaluation("bearings@1", {"pump": Tally(18, 2, 4, 400)}, right, 0.0)
    challenger = Evaluation("bearings@2", {"pump": Tally(20, 0, 0, 400)}, fooled, 0.0)
    verdict = judge(champion, challenger, golden)
    assert not verdict.passed
    assert judge(champion, replace(challenger, golden=right), golden).passed
