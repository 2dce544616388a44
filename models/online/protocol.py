"""What every online detector is: it scores rows of many machines, and learns from them, separately."""

from __future__ import annotations

from typing import Protocol

from models.online.layout import Floats, Ints


class Detector(Protocol):
    """One detector across machines.

    machine: (n,) index of the machine of each row; x: (n, n_features). Rows of one machine are taken in
    order.
    """

    n_features: int

    def score(self, machine: Ints, x: Floats) -> Floats:
        """Anomaly of each row, (n,); higher is stranger. Changes nothing."""
        ...

    def learn(self, machine: Ints, x: Floats) -> None:
        """Take these rows as normal."""
        ...


class Forgetful(Detector, Protocol):
    """A detector that can let one machine start again."""

    def forget(self, machine: int) -> None:
        """Forget everything of this machine."""
        ...
