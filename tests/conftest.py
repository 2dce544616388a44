"""For every test: Hypothesis judges what is found, not how long a busy machine takes.

The suite takes the same examples every time, so that a red run can be run again; `HYPOTHESIS_PROFILE=deep`
takes new ones each time, and more of them where a test names no number.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

BUSY = [HealthCheck.too_slow]
settings.register_profile("busy", deadline=None, suppress_health_check=BUSY, derandomize=True)
settings.register_profile("deep", deadline=None, suppress_health_check=BUSY, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))


@pytest.fixture
def hang_up() -> Iterator[None]:
    """What the test starts hears its terminal close, also when the suite itself runs under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
