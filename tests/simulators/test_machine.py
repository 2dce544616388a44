"""The physics that the rest of the house is tested with must itself be sane."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from features.bearings import find, orders_of
from ingest.contract.channels import ENERGY_KWH, POWER_KW, SPEED_RPM, STATE, RunState
from simulators.faults import SENSOR_FAULTS, Fault, FaultKind
from simulators.kinds import KINDS, can_have
from simulators.machine import DEFAULT_ORIGIN_NS, JAKARTA_S, Block, MachineModel
from simulators.plant_clock import PlantClock
from simulators.shifts import Shift, WorkPattern

SECOND = 1_000_000_000
DEEP_GROOVE_6205 = orders_of(find("6205"))
T0 = DEFAULT_ORIGIN_NS + 3 * 86_400 * SECOND + 5 * 3600 * SECOND
ALWAYS = WorkPattern(idle_share=0.0)
ZONES_MM_S = (1.4, 2.8, 4.5)
MECHANICAL = sorted(set(FaultKind) - SENSOR_FAULTS)


def machine(fault: FaultKind | None = None, severity: float = 1.0, **options: object) -> MachineModel:
    kind = next(name for name in ("pump", "gearbox") if fault is None or can_have(name, fault))
    faults = () if fault is None else (Fault(fault, T0 - 100 * SECOND, 1.0, severity),)
    return MachineModel(kind, 75.0, 1480.0, seed=5, faults=faults, pattern=ALWAYS, **options)


def spectrum(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Peak amplitude of each line, (3, bins) g, under a Hann window."""
    signal = block.signal_g
    window = np.hanning(signal.shape[1])
    lines = np.abs(np.fft.rfft(signal * window, axis=1)) * 2 / window.sum()
    return lines, np.fft.rfftfreq(signal.shape[1], 1 / block.rate_hz)


def velocity_mm_s(block: Block) -> np.ndarray:
    """Velocity RMS of each axis in 10-1000 Hz: (3,), by Parseval under a Hann window."""
    lines, hz = spectrum(block)
    band = (hz >= 10) & (hz <= 1000)
    return np.sqrt(((lines[:, band] * 9806.65 / (2 * np.pi * hz[band])) ** 2).sum(axis=1) / 2 / 1.5)


def peak_near(lines: np.ndarray, hz: np.ndarray, at_hz: float, width: int = 3) -> float:
    """The tallest line of x around a frequency, over the median of its wider surroundings."""
    centre = int(np.argmin(np.abs(hz - at_hz)))
    near = lines[0, centre - width : centre + width + 1].max()
    around = np.median(lines[0, max(centre - 40, 1) : centre + 41])
    return float(near / around)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("power_kw", [22.0, 400.0])
def test_a_healthy_machine_of_every_kind_is_in_zone_a_or_b(kind: str, power_kw: float) -> None:
    limit = ZONES_MM_S[1] if power_kw <= 300 else 4.5
    for seed in range(6):
        model = MachineModel(kind, power_kw, 1480.0, seed=seed, pattern=ALWAYS)
        assert velocity_mm_s(model.block(T0)).max() < limit


@pytest.mark.parametrize("fault", MECHANICAL)
def test_every_fault_grows_from_nothing_into_zone_c_or_d(fault: FaultKind) -> None:
    levels = [velocity_mm_s(machine(fault, s).block(T0, 32_768)).max() for s in (0.01, 0.2, 0.5, 1.0)]
    healthy = velocity_mm_s(machine(None if can_have("pump", fault) else fault, 1e-9).block(T0, 32_768)).max()
    assert levels[0] == pytest.approx(healthy, rel=0.15)
    assert all(later > earlier * 0.98 for earlier, later in itertools.pairwise(levels))
    assert levels[-1] > ZONES_MM_S[1]


@pytest.mark.parametrize("fault", MECHANICAL)
def test_every_fault_costs_warmth_or_power(fault: FaultKind) -> None:
    model = machine(fault, 1.0)
    healthy = MachineModel(model.kind, 75.0, 1480.0, seed=5, pattern=ALWAYS)
    later = T0 + 7200 * SECOND
    ill, well = model.moment(later), healthy.moment(later)
    assert ill.bearing_degc + ill.winding_degc > well.bearing_degc + well.winding_degc + 2.0
    assert ill.power_kw > well.power_kw


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        (FaultKind.BEARING_OUTER, DEEP_GROOVE_6205.bpfo),
        (FaultKind.BEARING_INNER, DEEP_GROOVE_6205.bpfi),
        (FaultKind.BEARING_BALL, 2 * DEEP_GROOVE_6205.bsf),
    ],
)
def test_a_small_spall_shows_in_the_envelope_at_its_order(fault: FaultKind, order: float) -> None:
    block = machine(fault, 0.15).block(T0, 65_536)
    shaft_hz = machine().moment(T0).speed_rpm / 60
    signal = block.signal_g.astype(np.float64)
    spectrum_full = np.fft.fft(signal, axis=1)
    hz_full = np.fft.fftfreq(signal.shape[1], 1 / block.rate_hz)
    spectrum_full[:, (hz_full < 2000) | (hz_full > 8000)] = 0
    envelope = np.abs(np.fft.ifft(2 * spectrum_full, axis=1))
    lines = np.abs(np.fft.rfft(envelope - envelope.mean(axis=1, keepdims=True), axis=1))
    hz = np.fft.rfftfreq(signal.shape[1], 1 / block.rate_hz)
    assert peak_near(lines, hz, order * shaft_hz) > 8.0


@pytest.mark.parametrize(
    ("fault", "order"), [(FaultKind.IMBALANCE, 1), (FaultKind.MISALIGNMENT, 2), (FaultKind.LOOSENESS, 5)]
)
def test_rotor_faults_lift_their_own_harmonic_most(fault: FaultKind, order: int) -> None:
    shaft_hz = machine().moment(T0).speed_rpm / 60
    healthy, hz = spectrum(machine().block(T0, 65_536))
    ill, _ = spectrum(machine(fault, 1.0).block(T0, 65_536))

    def lift(k: int) -> float:
        near = np.abs(hz - k * shaft_hz) < 1.5
        return float(ill[0, near].max() / healthy[0, near].max())

    others = [lift(k) for k in range(1, 5) if k != order]
    assert lift(order) > 3.0
    assert lift(order) > min(others)


def test_the_electrical_fault_sings_at_twice_the_mains_and_skews_the_currents() -> None:
    ill = machine(FaultKind.ELECTRICAL)
    lines, hz = spectrum(ill.block(T0, 65_536))
    assert peak_near(lines, hz, 100.0) > 20.0
    currents = [ill.scalars(T0)[f"Current/L{phase}"] for phase in (1, 2, 3)]
    assert max(currents) / min(currents) > 1.08


def test_a_dead_pickup_says_nothing_a_saturated_one_clips_and_a_loose_one_swings() -> None:
    assert np.abs(machine(FaultKind.SENSOR_DEAD).block(T0).counts).max() <= 2
    clipped = np.abs(machine(FaultKind.SENSOR_SATURATED).block(T0).counts.astype(np.int32)) >= 32_767
    assert clipped.mean() > 0.1
    loose, hz = spectrum(machine(FaultKind.SENSOR_LOOSE).block(T0))
    assert loose[:, (hz > 1) & (hz < 10)].mean() > 20 * loose[:, hz > 3000].mean()


def test_the_same_moment_says_the_same_whatever_was_asked_before() -> None:
    one, two = machine(FaultKind.BEARING_OUTER), machine(FaultKind.BEARING_OUTER)
    for step in (9, 2, 400_000, 5):
        one.block(T0 + step * SECOND)
        one.scalars(T0 + step * SECOND)
    assert np.array_equal(one.block(T0).counts, two.block(T0).counts)
    assert one.scalars(T0 + SECOND) == two.scalars(T0 + SECOND)
    assert not np.array_equal(one.block(T0).counts, one.block(T0 + SECOND).counts)


def test_adjoining_blocks_join_without_a_jump_in_phase() -> None:
    model = machine(FaultKind.IMBALANCE)
    n = 8_192
    first = model.block(T0, n).signal_g[0]
    second = model.block(T0 + round(n / 25_600 * SECOND), n).signal_g[0]
    shaft_hz = model.moment(T0).speed_rpm / 60
    turn = np.exp(-2j * np.pi * shaft_hz * np.arange(n) / 25_600)
    expected = 2 * np.pi * shaft_hz * n / 25_600
    moved = np.angle((second @ turn) / (first @ turn))
    assert abs(np.angle(np.exp(1j * (moved - expected)))) < 0.1


def test_the_meter_agrees_with_the_power_it_integrates() -> None:
    model = MachineModel("compressor", 110.0, 1485.0, seed=3)
    times = T0 + np.arange(0, 6 * 3600 + 1, 10) * SECOND
    power = [model.moment(int(t)).power_kw for t in times]
    used = model.scalars(int(times[-1]))[ENERGY_KWH] - model.scalars(int(times[0]))[ENERGY_KWH]
    assert used == pytest.approx(np.trapezoid(power, times / (3600 * SECOND)), rel=1e-3)


def test_a_compressed_plant_day_bends_shifts_but_not_the_meter() -> None:
    clock = PlantClock(T0, speedup=1440.0)
    model = MachineModel(
        "pump", 75.0, 1480.0, seed=3, clock=clock, pattern=WorkPattern((Shift(480, 960),), left_on=0.0)
    )
    times = T0 + np.arange(0, 60_001, 20) * 1_000_000
    moments = [model.moment(int(t)) for t in times]
    states = {moment.state for moment in moments}
    assert {RunState.STOPPED, RunState.RUNNING} <= states
    energy = moments[-1].energy_kwh - moments[0].energy_kwh
    hours = (times - times[0]) / (3600 * SECOND)
    assert energy == pytest.approx(np.trapezoid([m.power_kw for m in moments], hours), rel=0.02)


def test_machines_rest_outside_their_shifts_and_cool_down() -> None:
    pattern = WorkPattern((Shift(8 * 60, 16 * 60),), idle_share=0.0, left_on=0.0)
    model = MachineModel("pump", 75.0, 1480.0, seed=1, pattern=pattern)
    midnight = DEFAULT_ORIGIN_NS + 10 * 86_400 * SECOND - JAKARTA_S * SECOND
    noon, night = model.moment(midnight + 14 * 3600 * SECOND), model.moment(midnight + 22 * 3600 * SECOND)
    assert (noon.state, night.state) == (RunState.RUNNING, RunState.STOPPED)
    assert noon.winding_degc > night.winding_degc + 25
    assert night.power_kw == 0.0


def test_idling_draws_power_and_makes_nothing() -> None:
    pattern = WorkPattern((Shift(8 * 60, 9 * 60),), left_on=1.0)
    model = MachineModel("gearbox", 75.0, 1480.0, seed=1, pattern=pattern)
    midnight = DEFAULT_ORIGIN_NS + 10 * 86_400 * SECOND - JAKARTA_S * SECOND
    evening = [model.moment(midnight + hour * 3600 * SECOND) for hour in (18, 20)]
    assert {moment.state for moment in evening} == {RunState.IDLE}
    assert 0.1 < evening[0].power_kw / model.rating.full_power_kw < 0.35
    assert evening[0].total == evening[1].total
    assert evening[1].energy_kwh > evening[0].energy_kwh


def test_a_stopped_machine_is_silent_and_its_meter_stands_still_until_it_is_started() -> None:
    model = machine(FaultKind.BEARING_OUTER)
    before = model.scalars(T0)
    model.stop(T0 + SECOND)
    at_rest = model.scalars(T0 + 120 * SECOND)
    assert (at_rest[SPEED_RPM], at_rest[POWER_KW], at_rest[STATE]) == (0.0, 0.0, 0.0)
    assert model.block(T0 + 120 * SECOND).signal_g.std() < 0.005
    assert at_rest[ENERGY_KWH] == model.scalars(T0 + 600 * SECOND)[ENERGY_KWH] >= before[ENERGY_KWH]
    assert model.moment(T0 + 7200 * SECOND).winding_degc < before["Temperature/winding"] - 20
    model.resume(T0 + 7200 * SECOND)
    after = model.scalars(T0 + 7260 * SECOND)
    assert after[STATE] == RunState.RUNNING
    assert after[ENERGY_KWH] > at_rest[ENERGY_KWH]


@pytest.mark.parametrize("fault", [None, FaultKind.BEARING_OUTER])
def test_a_machine_that_runs_out_is_heard_at_every_speed_down_to_rest(fault: FaultKind | None) -> None:
    model = machine(fault)
    model.stop(T0)
    speeds = []
    for second in range(180):
        assert np.isfinite(model.block(T0 + second * SECOND).signal_g).all()
        speeds.append(model.scalars(T0 + second * SECOND)[SPEED_RPM])
    assert speeds[0] > 1_000
    assert speeds[-1] == 0


def test_speed_slips_under_load() -> None:
    model = MachineModel("gearbox", 75.0, 1460.0, seed=2, pattern=ALWAYS)
    moments = [model.moment(T0 + step * 600 * SECOND) for step in range(100)]
    loads, speeds = np.array([(m.load, m.speed_rpm) for m in moments]).T
    assert np.corrcoef(loads, speeds)[0, 1] < -0.99
    assert speeds.max() < 1500.0


@pytest.mark.parametrize(("n", "rate_hz"), [(256, 1_000.0), (131_072, 51_200.0), (4_099, 25_600.0)])
def test_blocks_of_every_legal_length_can_be_made(n: int, rate_hz: float) -> None:
    block = machine(FaultKind.BEARING_INNER).block(T0, n, rate_hz)
    assert block.counts.shape == (3, n)
    assert [len(wave.samples) for wave in block.waveforms()] == [2 * n] * 3
    assert np.frombuffer(block.waveforms()[1].samples, "<i2").tolist() == block.counts[1].tolist()


def test_nonsense_is_refused_with_a_reason() -> None:
    for call, words in (
        (lambda: MachineModel("toaster", 75.0, 1480.0), "toaster"),
        (lambda: MachineModel("pump", 0.0, 1480.0), "rated_power_kw"),
        (lambda: MachineModel("pump", 75.0, 9000.0), "rated_rpm"),
        (lambda: MachineModel("fan", 75.0, 1480.0, faults=(Fault(FaultKind.GEAR, 0, 1.0),)), "gear"),
        (lambda: Fault(FaultKind.GEAR, 0, 0.0), "growth_s"),
        (lambda: Fault(FaultKind.GEAR, 0, 1.0, 7.0), "severity"),
        (lambda: machine().block(T0, 100), "100"),
        (lambda: machine().moment(T0 + 20_000 * 86_400 * SECOND), "4000"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_repair_ends_the_fault() -> None:
    fault = Fault(FaultKind.IMBALANCE, T0, 10.0, repaired_ns=T0 + 60 * SECOND)
    model = MachineModel("pump", 75.0, 1480.0, faults=(fault,))
    assert [round(model.severity(T0 + s * SECOND), 2) for s in (0, 10, 59, 60)] == [0.0, 1.0, 1.0, 0.0]
