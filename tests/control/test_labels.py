"""QR labels lead to the approver's page of one machine and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.labels import machine_url, write_labels


def test_each_machine_gets_a_label_of_its_own(tmp_path: Path) -> None:
    made = write_labels(tmp_path, "https://approve.plant.example", ("kiln-1", "fan-1"))
    assert [path.name for path in made] == ["kiln-1.svg", "fan-1.svg"]
    assert all(b"<svg" in path.read_bytes() for path in made)
    assert made[0].read_bytes() != made[1].read_bytes()


@pytest.mark.parametrize("machine", ["../x", "a b", "", "x" * 65, "kiln-1#/p/other"])
def test_a_name_that_is_no_machine_gets_no_label(machine: str) -> None:
    with pytest.raises(ValueError, match="machine"):
        machine_url("https://approve.plant.example", machine)
