"""The stream with waveforms: what the features remember survives a snapshot and comes back from the rows."""

from __future__ import annotations

import numpy as np
import pytest

from features.rounds import ROUND_NAMES
from ingest.contract.batch import Batch
from ingest.contract.values import Message, Scalar, Waveform
from models.persist import StateError, _decode
from models.stream import Settings, dump, load, new_state, replay, update

DEMO = Settings.demo()
START_NS, SECOND_NS, RATE_HZ = 1_800_000_000_000_000_000, 1_000_000_000, 4_096.0


def batches(n=24, size=5):
    """Two machines that send no speed; one sends power with its waveforms, the other apart from them."""
    rng, t, messages = np.random.default_rng(0), np.arange(8_192) / RATE_HZ, []
    for i in range(n):
        at = START_NS + i * 20 * SECOND_NS
        for name, hz in (("m0", 24.2), ("m1", 24.9)):
            wave = sum(np.sin(2 * np.pi * k * hz * t) / k for k in (1, 2, 3)) + 0.1 * rng.normal(size=8_192)
            block = Waveform("x", (1_000 * wave).astype("<i2").tobytes(), "int16", RATE_HZ, 1e-4, at)
            power = (Scalar("Power/Active", 5.0 + rng.random(), at), Scalar("Temperature/bearing", 60.0, at))
            apart = name == "m1"
            messages.append(Message("gw", name, at, (block,), () if apart else power))
            if apart:
                messages.append(Message("gw", name, at + SECOND_NS, (), power))
    return [Batch(START_NS, tuple(messages[k : k + size])) for k in range(0, len(messages), size)]


def test_rows_bring_back_what_messages_taught(plant):
    live, again = new_state(plant, DEMO), new_state(plant, DEMO)
    rows = []
    for batch in batches():
        _, outputs = update(live, batch)
        replay(again, outputs.rows, (), batch.now_ns)
        rows += outputs.rows
    assert dump(live) == dump(again)
    speeds = [row.values[row.names.index("speed_hz")] for row in rows if row.machine == "m0"]
    assert speeds == pytest.approx([24.2] * len(speeds), abs=0.05)


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_a_snapshot_in_the_middle_changes_no_row(plant, stop):
    straight, parts = new_state(plant, DEMO), batches()
    for batch in parts[:stop]:
        update(straight, batch)
    resumed = load(dump(straight), plant)
    for batch in parts[stop:]:
        wanted, got = update(straight, batch)[1], update(resumed, batch)[1]
        assert [row.values.tobytes() for row in wanted.rows] == [row.values.tobytes() for row in got.rows]
        assert wanted.judgements == got.judgements
    assert dump(straight) == dump(resumed)


def test_slow_columns_are_stored_and_not_judged(plant):
    state = new_state(plant, DEMO)
    rows = [row for batch in batches() for row in update(state, batch)[1].rows]
    assert any(row.names[-len(ROUND_NAMES) :] == ROUND_NAMES for row in rows)
    watched = {name for layout in state.layout_of for name in layout.names}
    assert watched
    assert not any(name.startswith(("hour.", "slow.", "speed_")) for name in watched)


def test_a_damaged_memory_is_refused_in_words(plant, monkeypatch):
    state = new_state(plant, DEMO)
    update(state, batches()[0])
    good = _decode(dump(state))
    assert set(good.rounds) == {"m0", "m1"}
    monkeypatch.setattr("features.rounds.dump", lambda rounds: {"m0": b"torn"})
    with pytest.raises(StateError, match="start afresh"):
        load(dump(state), plant)
