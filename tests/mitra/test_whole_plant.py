"""The whole plant, small: real processes, real broker; the same classes that `mitra demo` uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mitra.demo import Demo, DemoRequest, prepare, receipts_of
from mitra.technicians import Script
from tests.waiting import until

pytestmark = pytest.mark.first


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Script]]:
    folder = tmp_path_factory.mktemp("plant")
    demo = prepare(DemoRequest(folder, n_machines=3, n_gateways=1, onset_s=28.0, growth_s=20.0))
    script = Script(demo.house, demo.runs)
    try:
        demo.start(lambda _what: None)
        script.start()
        yield demo, script
    finally:
        script.stop()
        demo.stop()


def test_a_rejected_stop_leaves_the_machine_running_and_an_approved_one_stops_it(
    plant: tuple[Demo, Script],
) -> None:
    demo, script = plant
    faulty = demo.plant_file.faulty_machine
    until(lambda: bool(script.rejected), "a first proposal")
    until(lambda: script.ran_on_after_rejection is not None, "a look at the machine after the rejection")
    assert script.ran_on_after_rejection
    assert script.rejected == [faulty]
    until(lambda: bool(script.approved), "an approval")
    until(lambda: any(one.result == "confirmed" for one in receipts_of(demo.house)), "a confirmed stop")
    until(lambda: not demo.runs(faulty), "the machine's own telemetry to show the stop")
    demo.quiet()
    report = demo.report(script)
    assert report["lost"] == report["duplicates_stored"] == report["unapproved_stops"] == 0
    assert report["approved_stops"] == 1
    assert report["machines_stopped"] == [faulty]
    assert report["faulty_machine_alarmed"]
    assert report["healthy_machines_alarmed"] == []
    assert report["blocks_stored"] == report["blocks_published"] > 0
    assert report["problems"] == []
