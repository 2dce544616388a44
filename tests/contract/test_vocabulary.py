"""One vocabulary on all sides: what the models say, the screens have words for."""

from __future__ import annotations

from dashboards.words import FAULTS
from models.diagnosis.rules import COMPONENT_OF, RULES, UNKNOWN
from models.online.columns import COMPONENTS


def test_every_fault_and_component_that_is_diagnosed_has_words_on_the_screens() -> None:
    assert {*COMPONENT_OF, *COMPONENT_OF.values(), *COMPONENTS, UNKNOWN} - set(FAULTS) == set()


def test_every_rule_diagnoses_a_fault_of_its_own_name_that_has_a_component() -> None:
    assert [rule.__name__ for rule in RULES if rule.__name__ not in COMPONENT_OF] == []
