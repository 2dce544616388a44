"""For every test: Hypothesis judges what is found, not how long a busy machine takes; failures show screens.

The suite takes the same examples every time, so that a red run can be run again; `HYPOTHESIS_PROFILE=deep`
takes new ones each time, and more of them where a test names no number.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.browsing import to_be_seen

# The workers of xdist share the cores already: a thread a core in each of them only spins.
os.environ.setdefault("OMP_NUM_THREADS", "1")
BUSY = [HealthCheck.too_slow]
settings.register_profile("busy", deadline=None, suppress_health_check=BUSY, derandomize=True)
settings.register_profile("deep", deadline=None, suppress_health_check=BUSY, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a minute of mostly waiting begins at once: no worker shall be left with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test with browsers or processes that failed says what was on the screens and in the logs."""
    report = yield
    if report.failed and call.when == "call" and isinstance(item, pytest.Function):
        report.sections += to_be_seen(item.funcargs)
    return report


@pytest.fixture
def hang_up() -> Iterator[None]:
    """What the test starts hears its terminal close, also when the suite itself runs under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
